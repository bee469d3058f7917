// The admin pages: htmx for fragments, Tabler's menus and dialogs, and a few small habits of our own.
import htmx from 'htmx.org/dist/htmx.esm.js';
import { Collapse, Dropdown, Offcanvas, Tooltip } from '@tabler/core/dist/js/tabler.esm.min.js';
import './rules.js';
import './tasks.js';

window.htmx = htmx;
void Collapse; void Dropdown; void Offcanvas; void Tooltip;

const token = () => document.querySelector('meta[name="csrf-token"]')?.content ?? '';

// ---- htmx: the token against forged requests, errors as toasts, counts told to screen readers
document.addEventListener('htmx:configRequest', (event) => {
  event.detail.headers['X-CSRFToken'] = token();
});
document.addEventListener('htmx:responseError', (event) => {
  const { status, responseText } = event.detail.xhr;
  if (status === 401) return location.reload();
  toast(responseText.length < 400 ? responseText : `The server answered ${status}.`, 'danger');
});
document.addEventListener('htmx:sendError', () => toast('The server cannot be reached. Nothing was changed.', 'danger'));

// ---- toasts
function toast(text, kind = 'success') {
  const box = document.querySelector('#toasts');
  const item = document.createElement('div');
  item.className = `toast-line toast-${kind}`;
  item.setAttribute('role', kind === 'danger' ? 'alert' : 'status');
  item.textContent = text;
  box.append(item);
  setTimeout(() => item.remove(), kind === 'danger' ? 12000 : 6000);
}
document.addEventListener('click', (event) => {
  const close = event.target.closest('[data-close]');
  if (close) close.closest('.toast-line, .alert')?.remove();
});

// ---- light and dark
document.addEventListener('click', (event) => {
  const choice = event.target.closest('[data-theme-set]');
  if (choice) window.dispatchEvent(new CustomEvent('theme-choice', { detail: choice.dataset.themeSet }));
});

// ---- keys: / finds, ? helps, n makes a new one, Escape leaves
document.addEventListener('keydown', (event) => {
  const busy = event.target.closest('input, textarea, select, [contenteditable]');
  if (busy || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === '/') {
    const search = document.querySelector('[data-search]');
    if (search) { event.preventDefault(); search.focus(); search.select(); }
  } else if (event.key === '?') {
    document.querySelector('#help')?.showModal();
  } else if (event.key === 'n') {
    document.querySelector('[data-new]')?.click();
  }
});
document.addEventListener('click', (event) => {
  const opener = event.target.closest('[data-dialog]');
  if (opener) document.querySelector(opener.dataset.dialog)?.showModal();
  if (event.target.closest('[data-print]')) window.print();
  if (event.target.closest('[data-dialog-close]')) event.target.closest('dialog').close();
});

// ---- asking first: data-confirm on a form or its button
document.addEventListener('submit', (event) => {
  const form = event.target;
  const text = event.submitter?.dataset.confirm ?? form.dataset.confirm;
  if (!text || form.dataset.confirmed) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  const dialog = document.querySelector('#confirm');
  dialog.querySelector('[data-text]').textContent = text;
  const yes = dialog.querySelector('[data-yes]');
  yes.textContent = event.submitter?.dataset.yes ?? event.submitter?.textContent.trim() ?? yes.dataset.default;
  yes.onclick = () => {
    dialog.close();
    form.dataset.confirmed = '1';
    form.requestSubmit(event.submitter);
    delete form.dataset.confirmed;
  };
  dialog.showModal();
}, true);

// ---- typed confirmation: the button wakes when the word or number is typed
document.addEventListener('input', (event) => {
  const field = event.target.closest('[data-typed]');
  if (!field) return;
  const right = field.value.replace(/[\s.,]/g, '').toLowerCase() === field.dataset.typed.toLowerCase();
  field.form.querySelector('[data-typed-button]').disabled = !right;
});

// ---- filters that submit themselves; a count beside a text field
document.addEventListener('change', (event) => {
  const form = event.target.closest('form[data-auto]');
  if (form) form.requestSubmit();
});
function counted(field) {
  const out = document.querySelector(field.dataset.counted);
  if (out) out.textContent = [...field.value].length;
}
document.addEventListener('input', (event) => event.target.matches('[data-counted]') && counted(event.target));

// ---- preview of a mail: the frame's width and what it shows
document.addEventListener('click', (event) => {
  const tab = event.target.closest('[data-preview]');
  if (!tab) return;
  const box = tab.closest('[data-preview-box]');
  box.querySelectorAll('[data-preview]').forEach((one) => one.setAttribute('aria-pressed', String(one === tab)));
  const frame = box.querySelector('iframe');
  frame.className = `mail-frame mail-${tab.dataset.preview}`;
  const url = new URL(box.dataset.src, location.href);
  url.searchParams.set('show', tab.dataset.preview);
  const contact = box.querySelector('[data-preview-contact]');
  if (contact?.value) url.searchParams.set('contact', contact.value);
  if (frame.src !== url.href) frame.src = url.href;
});

// ---- copy buttons
document.addEventListener('click', async (event) => {
  const button = event.target.closest('[data-copy]');
  if (!button) return;
  await navigator.clipboard.writeText(button.dataset.copy);
  toast(button.dataset.copied ?? 'Copied');
});

// ---- rows of a repeated part of a form: add from the template, remove
document.addEventListener('click', (event) => {
  const add = event.target.closest('[data-add-row]');
  if (add) {
    const list = document.querySelector(add.dataset.addRow);
    list.append(list.querySelector('template').content.cloneNode(true));
    list.lastElementChild.querySelector('input, select')?.focus();
  }
  const remove = event.target.closest('[data-remove-row]');
  if (remove) remove.closest('[data-row]').remove();
});

document.querySelectorAll('[data-counted]').forEach(counted);
document.querySelectorAll('template[data-toast]').forEach((one) => toast(one.dataset.toast, one.dataset.kind));

// ---- the side bar on small screens
document.addEventListener('click', (event) => {
  const toggle = event.target.closest('[data-toggle-side]');
  const side = document.querySelector('#side');
  if (toggle) {
    const shown = side.classList.toggle('show');
    toggle.setAttribute('aria-expanded', String(shown));
  } else if (side?.classList.contains('show') && !event.target.closest('#side')) {
    side.classList.remove('show');
    document.querySelector('[data-toggle-side]').setAttribute('aria-expanded', 'false');
  }
});

// ---- what is being written appears in a frame beside it, a moment after the last key
document.querySelectorAll('[data-try]').forEach((field) => {
  let waiting;
  const show = () => field.form.requestSubmit(document.querySelector(field.dataset.try));
  field.addEventListener('input', () => { clearTimeout(waiting); waiting = setTimeout(show, 700); });
  if (field.value) show();
});
