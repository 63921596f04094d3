import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import Handlebars from 'handlebars';
import type { Assets } from './assets.ts';
import { type Formats, templateHelpers } from './template-helpers.ts';

export interface Views {
  /** A whole page in a layout, or, with layout null, a part of one. Throws where a template misses a value. */
  render(name: string, data: object, options: { layout: string | null; formats: Formats }): string;
}

/**
 * Plain handlebars: strict, so that a missing value is an error and not an empty cell; everything is escaped, and the
 * layout's body is a helper's SafeString because it is a page that was escaped already.
 */
export function loadViews(folder: string, assets: Assets): Views {
  const engine = Handlebars.create();
  const templates = new Map<string, HandlebarsTemplateDelegate>();
  const labels = new Map<string, ReadonlyMap<string, string>>();
  const labelsOfPartials = new Map<string, string>();
  for (const file of templateFiles(folder)) {
    const name = relative(folder, file)
      .replace(/\.hbs$/, '')
      .replaceAll('\\', '/');
    const source = readFileSync(file, 'utf8');
    if (name.startsWith('partials/')) {
      engine.registerPartial(name.slice('partials/'.length), source);
      for (const [field, label] of labelsIn(source)) labelsOfPartials.set(field, label);
    } else {
      templates.set(name, engine.compile(source, { strict: true, preventIndent: true }));
      labels.set(name, labelsIn(source));
    }
  }
  for (const [name, helper] of Object.entries(templateHelpers(engine, assets)))
    engine.registerHelper(name, helper);
  const templateOf = (name: string) => {
    const template = templates.get(name);
    if (template === undefined) throw new Error(`no template ${name}`);
    return template;
  };
  return {
    render(name, data, { layout, formats }) {
      const fieldLabel = (field: string) => labels.get(name)?.get(field) ?? labelsOfPartials.get(field);
      const shared = { data: { formats, fieldLabel } };
      const body = templateOf(name)(data, shared);
      if (layout === null) return body;
      return templateOf(`layouts/${layout}`)({ ...data, body: new engine.SafeString(body) }, shared);
    },
  };
}

/**
 * What each field of a template is called there, so that the list of errors at the top says the same as the label
 * beside the field: `<label for="field-name">Name</label>`, or the partial that makes one.
 */
export function labelsIn(source: string): Map<string, string> {
  const ofLabels = source.matchAll(/<label\b[^>]*\bfor="field-(\w+)"[^>]*>([^<{]+)/g);
  const ofPartials = source.matchAll(
    /\{\{> [\w-]+ [^}]*?\bname=["'](\w+)["'][^}]*?\blabel=(?:"([^"]+)"|'([^']+)')/g,
  );
  return new Map(
    [...ofLabels, ...ofPartials].map(([, field = '', first, second]) => [
      field,
      (first ?? second ?? '').trim().replace(/,$/, ''),
    ]),
  );
}

function templateFiles(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.hbs'))
    .map((entry) => join(entry.parentPath, entry.name));
}
