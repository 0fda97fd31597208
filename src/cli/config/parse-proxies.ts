import { BirthmarkError } from '../../core/errors.ts';
import type { ForwardedDialect } from '../../server/forwarded-certificate.ts';
import type { TrustedProxy } from '../../server/peer.ts';
import type { Config } from './schema.ts';

type ProxyConfig = NonNullable<Config['proxies']>[number];

/**
 * Reads `proxies` of the configuration: names and certificates are each one proxy's only.
 *
 * @throws BirthmarkError `config-invalid`
 */
export function parseProxies(configs: readonly ProxyConfig[]): readonly TrustedProxy[] {
  const taken = new Set<string>();
  return configs.map((config, at) => {
    const field = `proxies.${at}`;
    const certificateSha256 = config.certificateSha256.replaceAll(':', '').toLowerCase();
    for (const [member, value] of [
      ['name', config.name],
      ['certificateSha256', certificateSha256],
    ]) {
      if (taken.has(`${member} ${value}`))
        throw invalid(`${field}.${member}`, `is another proxy's too; each has its own`);
      taken.add(`${member} ${value}`);
    }
    return { name: config.name, certificateSha256, forwarded: parseDialect(config, field) };
  });
}

/** These say what a request is, or are another dialect's: a certificate in them would be read as something else. */
const NOT_ITS_OWN =
  /^(?:host|authorization|cookie|connection|content-.*|transfer-encoding|client-cert.*|x-forwarded-.*)$/i;

function parseDialect({ header, headerName }: ProxyConfig, field: string): ForwardedDialect {
  const member = `${field}.headerName`;
  if (header !== 'nginx') {
    if (headerName === undefined) return { kind: header };
    throw invalid(member, `is for nginx only; ${header} has a header of its own`);
  }
  if (headerName === undefined) throw invalid(member, 'is missing: nginx has no header of its own');
  if (NOT_ITS_OWN.test(headerName)) throw invalid(member, 'is a header that means something else');
  return { kind: 'nginx', header: headerName };
}

function invalid(field: string, rule: string): BirthmarkError {
  return new BirthmarkError('config-invalid', `${field} ${rule}`, { field });
}
