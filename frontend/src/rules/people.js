// A field that finds a person by name or address. What is submitted is a hidden field of the form with the person's id.
import { Combobox } from './combobox.js';
import { askValues } from './source.js';

export function personPicker(box) {
  const { url, label, placeholder, nothing } = box.dataset;
  const hidden = box.querySelector('input[type=hidden]');
  let shown = box.dataset.shown ?? '';
  const combo = new Combobox({
    label, placeholder, texts: { nothing_found: nothing }, isRemote: true, attributes: { id: box.dataset.inputId },
    shown: () => shown, list: (typed) => askValues(url, { q: typed }), isChosen: (value) => String(value) === hidden.value,
    pick: (item) => {
      hidden.value = item.value;
      shown = item.label;
      hidden.dispatchEvent(new Event('change', { bubbles: true }));
    },
  });
  box.append(combo.box);
}
