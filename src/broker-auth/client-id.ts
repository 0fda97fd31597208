import { expandTemplate, type Template, type Variables } from './variables.ts';

/** How the ClientId of a connection follows from the identity behind it. */
export type ClientIdRule =
  /** Exactly one of these. */
  | { readonly bind: 'equal'; readonly to: readonly Template[] }
  /** One of these, alone or with the separator and anything that has no separator in it; no value may have it either. */
  | { readonly bind: 'prefix'; readonly to: readonly Template[]; readonly separator: string }
  | { readonly bind: 'any' };

/** MQTT 5 §3.1.3.1 asks for 23 octets at least; what is longer than this is an attack on logs. */
const MAX_LENGTH = 512;

/**
 * Why the ClientId is not one that this identity may have; undefined where it is.
 *
 * @param clientId empty where the client leaves the choice to the broker (MQTT 5 §3.1.3.1)
 */
export function clientIdFault(clientId: string, rule: ClientIdRule, values: Variables): string | undefined {
  if (clientId.length > MAX_LENGTH || /\p{Cc}/u.test(clientId) || !clientId.isWellFormed())
    return 'the ClientId is too long or has control characters';
  if (rule.bind === 'any') return undefined;
  const faults: string[] = [];
  for (const template of rule.to) {
    const expanded = expandTemplate(template, values, rule.bind === 'prefix' ? rule.separator : undefined);
    if ('fault' in expanded) faults.push(expanded.fault);
    else if (
      rule.bind === 'equal' ? clientId === expanded.text : follows(clientId, expanded.text, rule.separator)
    )
      return undefined;
    else faults.push(`${rule.bind === 'equal' ? 'it may be' : 'it may begin with'} ${expanded.text}`);
  }
  return `the ClientId is not this device's: ${faults.join('; ')}`;
}

/** The separator keeps dev1 from being taken for the beginning of dev10. */
function follows(clientId: string, prefix: string, separator: string): boolean {
  if (clientId === prefix) return true;
  const begin = prefix + separator;
  return clientId.startsWith(begin) && !clientId.slice(begin.length).includes(separator);
}
