// Lists of tasks: rows by keyboard, several chosen at once.
const table = document.querySelector('[data-rows]');
const bulk = document.querySelector('[data-bulk]');

// ---- keys: j and k go from row to row, x chooses, the others press what a row has under data-key
function go(step) {
  const rows = [...table.querySelectorAll('[data-row]')];
  const at = rows.indexOf(table.querySelector('[data-row][data-here]'));
  const next = rows[Math.min(Math.max(at + step, 0), rows.length - 1)];
  if (!next) return;
  rows[at]?.removeAttribute('data-here');
  next.setAttribute('data-here', '');
  next.querySelector('a, input, button')?.focus({ preventScroll: true });
  next.scrollIntoView({ block: 'nearest' });
}
if (table) document.addEventListener('keydown', (event) => {
  const writing = event.target.closest('input:not([type=checkbox]), textarea, select, [contenteditable]');
  if (writing || event.ctrlKey || event.metaKey || event.altKey || document.querySelector('dialog[open]')) return;
  const here = event.target.closest('[data-row]') ?? table.querySelector('[data-row][data-here]');
  if (event.key === 'j' || event.key === 'k') go(event.key === 'j' ? 1 : -1);
  else if (event.key === 'x') here?.querySelector('[data-bulk-one]')?.click();
  else if (here && /^[a-z]$/.test(event.key)) here.querySelector(`[data-key="${event.key}"]`)?.click();
});

// ---- several at once: the bar shows while something is chosen
function count() {
  const boxes = [...document.querySelectorAll('[data-bulk-one]')];
  const chosen = boxes.filter((box) => box.checked).length;
  bulk.hidden = !chosen;
  bulk.querySelector('[data-bulk-count]').textContent = chosen;
  const all = document.querySelector('[data-bulk-all]');
  all.checked = chosen === boxes.length;
  all.indeterminate = chosen > 0 && chosen < boxes.length;
}
if (bulk) document.addEventListener('change', (event) => {
  if (event.target.matches('[data-bulk-all]')) {
    document.querySelectorAll('[data-bulk-one]').forEach((box) => { box.checked = event.target.checked; });
  }
  if (event.target.matches('[data-bulk-all], [data-bulk-one]')) count();
});
if (bulk) count();
