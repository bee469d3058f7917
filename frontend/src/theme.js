// Runs before the page is drawn: the reader's choice of light or dark, else the system's.
const root = document.documentElement;
const dark = matchMedia('(prefers-color-scheme: dark)');

function apply() {
  const choice = localStorage.getItem('theme') || 'auto';
  root.dataset.themeChoice = choice;
  root.dataset.bsTheme = choice === 'auto' ? (dark.matches ? 'dark' : 'light') : choice;
  document.dispatchEvent(new CustomEvent('theme'));
}

dark.addEventListener('change', apply);
window.addEventListener('theme-choice', (event) => {
  localStorage.setItem('theme', event.detail);
  apply();
});
apply();
