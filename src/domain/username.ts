/**
 * A login's username as it is stored and compared: lower-case printable ASCII without spaces, 1 to 64 bytes. What a
 * person types is folded to lower case, as FreeRADIUS folds what a router sends; surrounding space is a slip of the
 * hand and is taken off, space inside is not. Throws RangeError with the rule.
 */
export function parseUsername(text: string): string {
  const typed = text.replace(/^ +| +$/g, '');
  const username = typed.toLowerCase();
  if (username === '') throw new RangeError('a username has 1 to 64 characters');
  // Tested before folding too: some letters outside of ASCII fold into it (U+212A, the Kelvin sign, becomes k).
  if (!/^[\x21-\x7e]+$/.test(typed)) {
    throw new RangeError('a username has printable ASCII characters only, and no spaces');
  }
  if (username.length > 64) throw new RangeError('a username has 1 to 64 characters');
  return username;
}

/** Whether the text is a username in its stored form. */
export function isUsername(text: string): boolean {
  return /^[\x21-\x40\x5b-\x7e]{1,64}$/.test(text);
}
