// What the rule means now: asked a moment after the last change, the older question given up; problems go to their lines.
import htmx from 'htmx.org/dist/htmx.esm.js';

const WAIT = 350;

export class Live {
  constructor(builder) {
    this.builder = builder;
    this.place = document.querySelector('#live');
    this.said = document.querySelector('[data-live-said]');
    this.form = builder.source.form;
    this.shown = '';
    this.form.addEventListener('rule', () => this.ask());
    this.place.addEventListener('htmx:beforeRequest', () => this.place.setAttribute('aria-busy', 'true'));
    this.place.addEventListener('htmx:afterSettle', () => this.arrived());
    for (const failed of ['htmx:responseError', 'htmx:sendError', 'htmx:timeout']) this.place.addEventListener(failed, () => this.place.removeAttribute('aria-busy'));
    this.ask(0);
  }

  ask(wait = WAIT) {
    clearTimeout(this.waiting);
    this.waiting = setTimeout(() => htmx.trigger(this.place, 'ask'), wait);
  }

  arrived() {
    this.place.removeAttribute('aria-busy');
    const problems = [...this.place.querySelectorAll('[data-where]')].map((one) => ({ where: one.dataset.where, text: one.textContent.trim() }));
    const others = this.builder.showProblems(problems);
    this.place.querySelectorAll('[data-where]').forEach((one) => { one.hidden = !others.some((other) => other.text === one.textContent.trim() && other.where === one.dataset.where); });
    const count = this.place.querySelector('[data-said-count]')?.textContent.trim() ?? '';
    if (this.said && count !== this.shown) this.said.textContent = count;
    this.shown = count;
    const person = this.form.querySelector('[data-person] input[type=hidden]');
    if (person?.value && !problems.length) htmx.trigger(person, 'change'); // the answer of the rule as it is now
  }
}

// What was typed survives a closed tab's history, a lost session and a wrong click, until it is saved.
export class Draft {
  constructor(form, fields, restored) {
    this.key = `draft:${location.pathname}${location.search}`;
    this.fields = fields;
    this.first = JSON.stringify(this.read());
    this.note = form.querySelector('[data-draft-note]');
    const kept = sessionStorage.getItem(this.key);
    if (kept && kept !== this.first && !form.dataset.hasProblems) {
      this.write(JSON.parse(kept));
      restored();
      this.note.hidden = false;
    }
    form.addEventListener('input', () => this.keep());
    form.addEventListener('rule', () => this.keep());
    form.addEventListener('submit', () => sessionStorage.removeItem(this.key));
    form.querySelector('[data-draft-drop]')?.addEventListener('click', () => {
      this.write(JSON.parse(this.first));
      restored();
      sessionStorage.removeItem(this.key);
      this.note.hidden = true;
    });
  }

  read() { return this.fields.map((field) => field.value); }

  write(values) { this.fields.forEach((field, index) => { field.value = values[index] ?? ''; }); }

  keep() {
    const now = JSON.stringify(this.read());
    if (now === this.first) sessionStorage.removeItem(this.key); else sessionStorage.setItem(this.key, now);
  }
}
