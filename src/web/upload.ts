import { pipeline } from 'node:stream/promises';
import { Busboy } from '@fastify/busboy';
import type { Request } from 'express';
import { invalid } from '../errors.ts';

export interface Upload {
  readonly name: string;
  readonly bytes: Buffer;
}

/** A file of a form is at most so large: some fifty thousand subscribers. */
export const uploadMax = 8 * 1024 * 1024;

const uploads = new WeakMap<Request, Upload>();

/** The file of the form that this request brought, if it brought one. */
export function uploadOf(req: Request): Upload | undefined {
  return uploads.get(req);
}

/**
 * Reads a form with a file: its fields become the request's body, as with any other form. Throws AppError where the
 * file is too large; the rest of it is read and thrown away, so that the browser hears the answer.
 */
export async function readUpload(req: Request): Promise<void> {
  const type = req.headers['content-type'] ?? '';
  if (!type.startsWith('multipart/form-data')) return;
  const fields: Record<string, string> = {};
  const parts: Buffer[] = [];
  const file: { name: string | null; isTooLarge: boolean } = { name: null, isTooLarge: false };
  const busboy = new Busboy({
    headers: { ...req.headers, 'content-type': type },
    limits: { files: 1, fileSize: uploadMax, fields: 20, fieldSize: 10_000 },
  });
  busboy.on('field', (field, value) => {
    fields[field] = value;
  });
  busboy.on('file', (_field, stream, fileName) => {
    file.name = fileName;
    stream.on('data', (part: Buffer) => parts.push(part));
    stream.on('limit', () => {
      file.isTooLarge = true;
      parts.length = 0;
    });
  });
  await pipeline(req, busboy).catch(() => {
    throw invalid('file', 'did not arrive whole: send it again');
  });
  if (file.isTooLarge) throw invalid('file', `must be at most ${uploadMax / 1024 / 1024} MB: split it`);
  req.body = fields;
  if (file.name !== null) uploads.set(req, { name: file.name, bytes: Buffer.concat(parts) });
}
