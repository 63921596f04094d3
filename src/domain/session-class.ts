import { asId, type LoginId } from './ids.ts';

/** What a session was given when it was accepted, as its Class says. */
export interface SessionClass {
  readonly loginId: LoginId;
  readonly accessFingerprint: string;
  readonly redialFingerprint: string;
  /** Made by FreeRADIUS, another one for each accepted dial. */
  readonly nonce: string;
}

const pattern = /^S1\.([1-9]\d{0,18})\.([0-9a-f]{10})\.([0-9a-f]{10})\.(.*)$/;

/**
 * Reads `S1.<login>.<access fingerprint>.<redial fingerprint>.<nonce>`, which routers return in accounting (RFC 2865
 * §5.25). Undefined for no Class and for one that is not ours: then nothing is known about what the session has.
 */
export function parseSessionClass(text: string | null): SessionClass | undefined {
  const match = pattern.exec(text ?? '');
  if (match === null) return undefined;
  const [, login = '', accessFingerprint = '', redialFingerprint = '', nonce = ''] = match;
  return { loginId: asId<LoginId>(login), accessFingerprint, redialFingerprint, nonce };
}
