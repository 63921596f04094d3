/** Holds the session's id; the table knows only its hash. */
export const sessionCookie = 'sluice_session';
