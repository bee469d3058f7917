// The editor of a set operation: which operation, of which segments, with the figures of each part beside.
import htmx from 'htmx.org/dist/htmx.esm.js';
import { chips } from './combobox.js';
import { h } from './dom.js';
import { matching } from './source.js';

const WAIT = 300;

export function startCombined(box) {
  const { segments, text } = JSON.parse(box.querySelector('script[type="application/json"]').textContent);
  const plain = box.querySelector('[data-inputs]');
  const live = document.querySelector('#parts');
  const values = JSON.parse(plain.dataset.inputs);
  let waiting;
  const ask = () => { clearTimeout(waiting); waiting = setTimeout(() => htmx.trigger(live, 'ask'), WAIT); };
  const write = () => hidden.replaceChildren(...values.map((value) => h('input', { type: 'hidden', name: 'inputs', value })));
  const hidden = h('div', { hidden: true });
  const options = segments.map((one) => ({ value: String(one.id), label: one.name, hint: one.kind }));
  const nameOf = (value) => options.find((one) => one.value === value)?.label ?? value;
  const order = h('p', { class: 'form-hint' });
  const changed = () => { write(); order.textContent = values.length > 1 ? text.order.replace('%(list)s', values.map((value, at) => `${at + 1}. ${nameOf(value)}`).join('  ')) : ''; ask(); };
  const picker = chips({ values, labelOf: nameOf, label: text.segments, placeholder: text.choose, texts: text, list: (typed) => ({ items: matching(options, typed) }), change: changed });
  const swap = h('button', { type: 'button', class: 'btn btn-sm mt-2', onclick: () => { values.reverse(); picker.querySelectorAll('.chip-item').forEach((one) => one.parentNode.insertBefore(one, picker.firstChild)); changed(); } }, h('i', { class: 'bi bi-arrow-left-right me-1', 'aria-hidden': 'true' }), text.swap);
  plain.replaceChildren(picker, order, swap, hidden);
  box.addEventListener('change', (event) => { if (event.target.name === 'operation') ask(); });
  changed();
}
