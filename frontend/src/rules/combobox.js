// A text field with a list (ARIA APG "combobox with listbox popup"): type to filter, arrows, Enter, Escape.
// `list(text)` gives or promises { items, note }; an item is { value, label, group, hint, count, keywords }.
import { freshId, h, icon, iconButton, shownNumber } from './dom.js';

const WAIT = 150;

export class Combobox {
  constructor(options) {
    this.options = { free: false, ...options };
    this.items = [];
    this.active = -1;
    this.asked = 0;
    const list = freshId('list');
    this.input = h('input', {
      class: 'form-control', type: 'text', role: 'combobox', autocomplete: 'off', spellcheck: 'false', 'aria-autocomplete': 'list',
      'aria-expanded': 'false', 'aria-controls': list, 'aria-label': options.label, placeholder: options.placeholder, ...options.attributes,
    });
    this.popup = h('div', { class: 'combo-list', role: 'listbox', id: list, 'aria-label': options.label, hidden: true });
    this.box = h('div', { class: `combo ${options.class ?? ''}` }, this.input, this.popup);
    this.settle();
    this.listen();
  }

  listen() {
    const { input, popup } = this;
    input.addEventListener('input', () => this.typed());
    input.addEventListener('click', () => this.open(true));
    input.addEventListener('keydown', (event) => this.key(event));
    input.addEventListener('blur', () => this.leave());
    popup.addEventListener('mousedown', (event) => event.preventDefault());
    popup.addEventListener('click', (event) => {
      const option = event.target.closest('[role=option]');
      if (option) this.choose(this.items[Number(option.dataset.index)]);
    });
  }

  get isOpen() { return !this.popup.hidden; }

  // Show what is chosen. Several values stand beside the field as chips, so the field itself is empty then.
  settle() {
    this.input.value = this.options.multiple ? '' : this.options.shown?.() ?? '';
  }

  focus({ open = false } = {}) {
    this.input.focus();
    if (open) this.open(true);
  }

  typed() {
    if (this.options.multiple && this.options.free && this.input.value.endsWith(',')) { this.take(this.input.value.slice(0, -1)); return; }
    if (this.options.typed) this.options.typed(this.input.value);
    clearTimeout(this.waiting);
    this.isPending = true;
    this.waiting = setTimeout(() => this.open(false), this.options.isRemote ? WAIT : 0);
  }

  async open(all) {
    if (all) this.input.select();
    const turn = ++this.asked;
    const text = all ? '' : this.input.value.trim();
    if (this.options.isRemote) this.input.setAttribute('aria-busy', 'true');
    const { items, note } = await this.options.list(text);
    if (turn !== this.asked || !this.input.isConnected || document.activeElement !== this.input) return;
    this.input.removeAttribute('aria-busy');
    this.isPending = false;
    this.items = items;
    this.draw(note, text);
    const { top, bottom } = this.input.getBoundingClientRect();
    this.popup.classList.toggle('combo-up', innerHeight - bottom < 260 && top > 420);
    this.popup.hidden = false;
    this.input.setAttribute('aria-expanded', 'true');
    this.mark(this.first(text));
  }

  // The option that Enter takes: the best match, the chosen one, or none where free text begins no known value.
  first(text) {
    if (!this.items.length) return -1;
    if (text) return !this.options.free || this.items[0].label.toLowerCase().startsWith(text.toLowerCase()) ? 0 : -1;
    const chosen = this.items.findIndex((item) => this.options.isChosen?.(item.value));
    if (this.options.multiple) return 0;
    return chosen >= 0 || this.options.free ? chosen : 0;
  }

  draw(note, text) {
    const groups = new Map();
    this.items.forEach((item, index) => {
      const name = item.group ?? '';
      if (!groups.has(name)) groups.set(name, []);
      groups.get(name).push(this.option(item, index));
    });
    const parts = [...groups].map(([name, options]) => {
      if (!name) return options;
      const id = freshId('group');
      return h('div', { role: 'group', 'aria-labelledby': id }, h('div', { class: 'combo-head', id }, name), options);
    });
    if (!this.items.length) parts.push(h('div', { class: 'combo-note', role: 'option', 'aria-disabled': 'true' }, text && this.options.free ? this.options.texts.enter_takes : this.options.texts.nothing_found));
    else if (note) parts.push(h('div', { class: 'combo-note', role: 'presentation' }, note));
    this.popup.replaceChildren(...parts.flat());
  }

  option(item, index) {
    const chosen = this.options.isChosen?.(item.value) ?? false;
    return h('div', { class: 'combo-option', role: 'option', id: freshId('option'), 'data-index': index, 'aria-selected': String(chosen) },
      h('span', { class: 'combo-words' }, h('span', {}, item.label), item.hint ? h('small', {}, item.hint) : null),
      item.count !== undefined && item.count !== null ? h('span', { class: 'combo-count' }, shownNumber(item.count)) : null,
      icon('check2', chosen ? 'combo-tick' : 'combo-tick invisible'));
  }

  mark(index) {
    this.active = index;
    const options = [...this.popup.querySelectorAll('[data-index]')];
    options.forEach((option) => option.classList.toggle('active', Number(option.dataset.index) === index));
    const here = options.find((option) => Number(option.dataset.index) === index);
    if (here) {
      this.input.setAttribute('aria-activedescendant', here.id);
      here.scrollIntoView({ block: 'nearest' });
    } else this.input.removeAttribute('aria-activedescendant');
  }

  close() {
    this.asked++;
    this.isPending = false;
    clearTimeout(this.waiting);
    this.popup.hidden = true;
    this.input.setAttribute('aria-expanded', 'false');
    this.input.removeAttribute('aria-activedescendant');
    this.active = -1;
  }

  async key(event) {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      event.preventDefault();
      if (!this.isOpen) await this.open(true);
      else if (this.items.length) this.mark((this.active + step + this.items.length) % this.items.length);
    } else if (event.key === 'Enter') {
      event.preventDefault();
      clearTimeout(this.waiting);
      const typed = this.input.value.trim();
      if (this.isPending && typed) await this.open(false); // Enter was quicker than the list
      if (this.isOpen && this.items[this.active]) this.choose(this.items[this.active]);
      else if (this.options.free && typed) this.take(typed);
      else if (!this.isOpen) await this.open(true);
    } else if (event.key === 'Escape' && this.isOpen) {
      event.preventDefault();
      event.stopPropagation();
      this.close();
      if (!this.options.free) this.settle();
    } else if (event.key === 'Backspace' && this.options.multiple && !this.input.value) {
      this.options.removeLast?.();
    } else if (event.key === 'Tab' && this.isOpen && this.options.multiple && this.input.value.trim() && this.items[this.active]) {
      this.choose(this.items[this.active]);
    }
  }

  choose(item) {
    this.close();
    this.input.value = '';
    this.options.pick(item);
    if (this.input.isConnected) this.settle();
  }

  take(text) {
    const values = this.options.multiple ? text.split(/[,;\n]/) : [text];
    const kept = values.map((one) => one.trim()).filter(Boolean);
    this.close();
    this.input.value = '';
    kept.forEach((value) => this.options.pick(this.items.find((item) => item.label.toLowerCase() === value.toLowerCase()) ?? { value, label: value }));
    if (this.input.isConnected) this.settle();
  }

  // Leaving loses nothing: what was typed counts where free text is allowed.
  leave() {
    const text = this.input.value.trim();
    const waits = this.options.free && text && (this.options.multiple || text !== (this.options.shown?.() ?? ''));
    if (waits) this.take(text); else { this.close(); this.settle(); }
  }
}

// Several values as chips before a combobox. `values` is a list that is changed in place.
export function chips({ values, labelOf, change, texts, label, ...options }) {
  const box = h('div', { class: 'chips' });
  const draw = () => {
    box.querySelectorAll('.chip-item').forEach((one) => one.remove());
    combo.box.before(...values.map((value) => h('span', { class: 'chip-item' }, h('span', {}, labelOf(value)),
      iconButton('x', texts.remove_value.replace('%(value)s', labelOf(value)), () => { drop(value); combo.input.focus(); }, { class: 'chip-remove' }))));
    combo.input.placeholder = values.length ? '' : options.placeholder ?? '';
  };
  const drop = (value) => { values.splice(values.indexOf(value), 1); draw(); change(values); };
  const combo = new Combobox({
    ...options, texts, label, multiple: true,
    isChosen: (value) => values.includes(value),
    pick: (item) => {
      if (values.includes(item.value)) values.splice(values.indexOf(item.value), 1); else values.push(item.value);
      options.learn?.(item);
      draw();
      change(values);
    },
    removeLast: () => values.length && drop(values.at(-1)),
  });
  box.append(combo.box);
  box.addEventListener('click', (event) => { if (event.target === box) combo.focus({ open: true }); });
  draw();
  return box;
}
