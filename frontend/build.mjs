// Bundle our own sources and the packages they import into one folder: node build.mjs OUT
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { build } from 'esbuild';

const out = process.argv[2];
await build({
  entryPoints: ['src/app.js', 'src/charts.js', 'src/theme.js', 'src/app.css', 'src/public.css', 'src/forms.css'],
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

// Packed once here, so that no process packs them for each reader.
for (const name of readdirSync(out).filter((one) => /\.(css|js)$/.test(one))) {
  const content = readFileSync(join(out, name));
  writeFileSync(join(out, `${name}.br`), brotliCompressSync(content));
  writeFileSync(join(out, `${name}.gz`), gzipSync(content, { level: 9 }));
}
