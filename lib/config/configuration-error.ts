import { AppError } from '../errors.js'

/**
 * The start cannot go on as configured. The message is one line that names the key, its value (masked if secret) and
 * what is allowed; the command ends with exit code 2.
 */
export class ConfigurationError extends AppError {
  constructor(message: string, key?: string) {
    super('invalid-value', oneLine(message), key === undefined ? {} : { fields: { [key]: oneLine(message) } })
    this.name = 'ConfigurationError'
  }
}

function oneLine(text: string): string {
  return text.replace(/\s*[\r\n]+\s*/g, ' ')
}
