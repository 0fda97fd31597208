import type { Static, TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import { BirthmarkError, type ErrorCode } from './errors.ts';

/**
 * Makes a parser out of a schema: takes any value, returns it as the schema's type, or throws the given code with the
 * member and the rule in the message.
 *
 * @param code `config-invalid`, `bad-request`, …
 */
export function schemaParser<const S extends TSchema>(
  schema: S,
  code: ErrorCode,
): (value: unknown, what: string) => Static<S> {
  const validator = Compile(schema);
  return (value, what) => {
    if (validator.Check(value)) return value;
    const [finding] = mostTelling(validator.Errors(value));
    const path = finding ? finding.instancePath.slice(1).replaceAll('/', '.') : '';
    const field = [what, path].filter((part) => part !== '').join('.');
    throw new BirthmarkError(code, `${field || 'the value'} ${finding?.rule ?? 'does not fit'}`, { field });
  };
}

interface Finding {
  readonly instancePath: string;
  readonly rule: string;
}

/** The validator lists every branch that failed; what helps a person is the deepest rule, and an unknown member by name. */
function mostTelling(
  errors: readonly {
    readonly keyword: string;
    readonly instancePath: string;
    readonly message: string;
    readonly params: object;
  }[],
): Finding[] {
  const findings: Finding[] = [];
  for (const { keyword, instancePath, message, params } of errors) {
    if (keyword === 'boolean') findings.push({ instancePath, rule: 'is not known here' });
    else if (keyword === 'required') {
      const missing =
        'requiredProperties' in params && Array.isArray(params.requiredProperties)
          ? params.requiredProperties
          : [];
      findings.push({ instancePath: `${instancePath}/${missing[0] ?? ''}`, rule: 'is missing' });
    } else if (keyword === 'enum') {
      const allowed =
        'allowedValues' in params && Array.isArray(params.allowedValues) ? params.allowedValues : [];
      findings.push({ instancePath, rule: `must be one of ${allowed.join(', ')}` });
    } else if (keyword !== 'additionalProperties') findings.push({ instancePath, rule: message });
  }
  return findings;
}
