import { accountRoutes } from './pages/account.ts';
import { routerRoutes } from './pages/routers.ts';
import { signInRoutes } from './pages/sign-in.ts';
import type { Route } from './route.ts';

/** Every route there is. */
export const routes: readonly Route[] = [...signInRoutes, ...accountRoutes, ...routerRoutes];
