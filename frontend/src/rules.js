// Segments: the rule builder with its live figures, the picker of people, the editor of set operations.
import { Builder } from './rules/builder.js';
import { startCombined } from './rules/combined.js';
import { Draft, Live } from './rules/live.js';
import { personPicker } from './rules/people.js';

document.querySelectorAll('[data-person]').forEach(personPicker);
document.querySelectorAll('[data-combined]').forEach(startCombined);
document.querySelectorAll('[data-rules]').forEach((box) => {
  const builder = new Builder(box);
  const { form } = builder.source;
  const fields = [...form.querySelectorAll('[data-kept]')];
  new Draft(form, fields, () => builder.readSource());
  new Live(builder);
});
