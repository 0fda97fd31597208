import { parse, TomlError } from 'smol-toml';
import { BirthmarkError } from '../../core/errors.ts';

/** @throws BirthmarkError `config-invalid` with the line and column */
export function parseToml(text: string): unknown {
  try {
    return parse(text);
  } catch (error) {
    if (error instanceof TomlError) {
      const [first = 'no TOML'] = error.message.split('\n');
      throw new BirthmarkError('config-invalid', `line ${error.line}, column ${error.column}: ${first}`, {
        cause: error,
      });
    }
    throw error;
  }
}
