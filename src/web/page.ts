import type { Request, Response } from 'express';
import type { App } from '../app.ts';
import type { CommandContext } from '../command.ts';
import type { OperatorSettings } from '../db/settings.ts';
import type { StaffSession } from '../db/staff-sessions.ts';
import { may, type Permission, permissions, roleNames } from '../domain/permissions.ts';
import { readFlash, type Flash, setFlash } from './flash.ts';
import { type NavigationGroup, navigationFor } from './navigation.ts';
import type { FieldErrors } from './form.ts';
import type { Views } from './view.ts';

/** One request of one person: what a handler reads, and how it answers. */
export interface Page {
  readonly app: App;
  /** For commands: the actor is the signed-in person. */
  readonly ctx: CommandContext;
  readonly req: Request;
  readonly res: Response;
  /** Null on public pages only. */
  readonly staff: StaffSession | null;
  readonly settings: OperatorSettings;
  /** Frozen once a request. */
  readonly now: Date;
  may(permission: Permission): boolean;
  /** Whether htmx asks for a part of the page. */
  readonly wantsPart: boolean;
  /** A whole page. `data.title` is its heading and the tab's name. */
  render(view: string, data: PageData, status?: number): void;
  /** A part of a page, without layout. */
  renderPart(view: string, data: object, status?: number): void;
  /** Goes elsewhere after a change; the message is shown there once. */
  redirect(path: string, flash?: Flash): void;
}

export interface PageData {
  title: string;
  /** Where this page is: from the area down, without the page itself. */
  crumbs?: readonly { label: string; href: string }[];
  errors?: FieldErrors;
  [name: string]: unknown;
}

export interface PageParts {
  app: App;
  ctx: CommandContext;
  views: Views;
  staff: StaffSession | null;
  settings: OperatorSettings;
  now: Date;
  csrf: string;
}

export function createPage(parts: PageParts, req: Request, res: Response): Page {
  const { app, ctx, views, staff, settings, now } = parts;
  const formats = { zone: settings.zone, currency: settings.currency, exponent: settings.exponent, now };
  const shared = () => ({
    csrf: parts.csrf,
    staff:
      staff === null ? null : { name: staff.name, username: staff.username, role: roleNames[staff.role] },
    can: staff === null ? {} : permissionsOf(staff),
    navigation: staff === null ? ([] as NavigationGroup[]) : navigationFor(staff.role, req.path),
    path: req.originalUrl,
    query: typeof req.query['q'] === 'string' ? req.query['q'] : '',
  });
  return {
    app,
    ctx,
    req,
    res,
    staff,
    settings,
    now,
    may: (permission) => staff !== null && may(staff.role, permission),
    wantsPart: req.get('HX-Request') === 'true' && req.get('HX-Boosted') !== 'true',
    render(view, data, status = 200) {
      const flash = readFlash(app.vault, req, res);
      const layout = staff === null ? 'bare' : 'main';
      const full = { crumbs: [], errors: null, ...shared(), flash, ...data };
      res
        .status(status)
        .type('html')
        .send(views.render(view, full, { layout, formats }));
    },
    renderPart(view, data, status = 200) {
      res
        .status(status)
        .type('html')
        .send(views.render(view, { ...shared(), ...data }, { layout: null, formats }));
    },
    redirect(path, flash) {
      if (flash !== undefined) setFlash(app.vault, res, flash);
      res.redirect(303, path);
    },
  };
}

/** `can.subscriber_edit` in templates: permissions by name, the dot as an underscore. */
function permissionsOf(staff: StaffSession): Record<string, boolean> {
  return Object.fromEntries(permissions.map((name) => [name.replace('.', '_'), may(staff.role, name)]));
}
