/** Something that must not be, in words. */
export interface Finding {
  readonly check: string;
  /** Of whom, or of what. */
  readonly subject: string;
  readonly detail: string;
  /** Whose timeline tells how it came. */
  readonly username: string | undefined;
}

export function finding(check: string, subject: string, detail: string, username?: string): Finding {
  return { check, subject, detail, username };
}
