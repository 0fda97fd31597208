import type { FastifyInstance } from 'fastify';

export interface KnownAddresses {
  /** The methods of the routes that a URL fits, whatever method it came with; none where no route fits. */
  methodsOf(url: string): readonly string[];
}

/** Remembers every route of the app, so that a wrong method gets 405 and `Allow`, and not 404 (RFC 9110 §15.5.6). */
export function rememberAddresses(app: FastifyInstance): KnownAddresses {
  const routes: { readonly pattern: RegExp; readonly methods: readonly string[] }[] = [];
  app.addHook('onRoute', ({ url, method }) => {
    routes.push({ pattern: toPattern(url), methods: Array.isArray(method) ? method : [method] });
  });
  return {
    methodsOf: (url) => {
      const [path = ''] = url.split('?');
      const fitting = routes.filter(({ pattern }) => pattern.test(path)).flatMap(({ methods }) => methods);
      return [...new Set(fitting)];
    },
  };
}

/** `/ca/:name.cer` → one segment for each parameter, anything for `*`. */
function toPattern(url: string): RegExp {
  const text = url
    .replace(/[.+?^${}()|[\]\\]/g, '\\$&')
    .replace(/:[A-Za-z]+/g, '[^/]+')
    .replaceAll('*', '.*');
  return new RegExp(`^${text}$`);
}
