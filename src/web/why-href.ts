/** The diagnosis of a username. A browser would take `.` and `..` in a path for folders: those stay in the query. */
export function whyHref(username: string): string {
  if (/^\.{1,2}$/.test(username)) return `/why?username=${username}`;
  return `/why/${encodeURIComponent(username)}`;
}
