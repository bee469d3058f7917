// Elements without markup in strings: nothing typed by a person is ever read as HTML.

export function h(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === 'class') made.className = value;
    else if (name.startsWith('on')) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true ? '' : value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

export const icon = (name, more = '') => h('i', { class: `bi bi-${name} ${more}`, 'aria-hidden': 'true' });

export function iconButton(name, label, click, more = {}) {
  return h('button', { type: 'button', class: 'btn btn-icon btn-ghost-secondary', 'aria-label': label, title: label, onclick: click, ...more }, icon(name));
}

export function wordButton(name, label, click, more = {}) {
  return h('button', { type: 'button', class: 'btn btn-sm', onclick: click, ...more }, icon(name, 'me-1'), label);
}

export function select(options, chosen, label, change, more = {}) {
  const known = options.some((option) => option.value === chosen);
  const listed = known || chosen === undefined ? options : [{ value: chosen, label: chosen }, ...options];
  return h('select', { class: 'form-select', 'aria-label': label, onchange: (event) => change(event.target.value), ...more },
    listed.map((option) => h('option', { value: option.value, selected: option.value === chosen }, option.label)));
}

export function input(type, shown, label, change, more = {}) {
  return h('input', {
    class: 'form-control', type, value: shown ?? '', 'aria-label': label, step: type === 'number' ? 'any' : undefined,
    oninput: (event) => change(event.target.value), ...more,
  });
}

// "%(name)s was removed" with its names filled in, as gettext writes them
export const fill = (text, values) => Object.entries(values).reduce((all, [name, value]) => all.replace(`%(${name})s`, value), text);

let lastId = 0;
export const freshId = (word) => `${word}-${++lastId}`;

export const shownNumber = (number) => number.toLocaleString(document.documentElement.lang || 'en');
