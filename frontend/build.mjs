// Bundle our own sources and the packages they import into one folder: node build.mjs OUT
import { build } from 'esbuild';

const out = process.argv[2];
await build({
  entryPoints: ['src/app.js', 'src/charts.js', 'src/theme.js', 'src/app.css', 'src/public.css'],
  outdir: out,
  bundle: true,
  minify: true,
  target: ['es2022'],
  format: 'iife',
  legalComments: 'linked',
  assetNames: 'fonts/[name]-[hash]',
  loader: { '.woff2': 'file', '.woff': 'empty' },
  logLevel: 'warning',
});
