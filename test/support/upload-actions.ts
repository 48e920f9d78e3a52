/** Actions of a real SDK host that ask for files and return what they read of them. */
import type { Handler, TestIo, TestPromise } from './sdk-host.js'

export interface SentFile {
  name: string
  type: string
  size: number
  lastModified: Date
  extension: string
  url(): Promise<string>
  text(): Promise<string>
  buffer(): Promise<Buffer>
}

interface FilePromise<Value> extends TestPromise<Value> {
  multiple(): TestPromise<SentFile[]> & { optional(): TestPromise<SentFile[] | undefined> }
}

type FileIo = TestIo['input'] & { file(label: string, props?: object): FilePromise<SentFile> }

/** `io.input` with `file`; the oldest SDK of the tests keeps it elsewhere. */
export function filesOf(io: TestIo): FileIo {
  const { experimental, input } = io as TestIo & { experimental?: { input?: FileIo } }
  return 'file' in input ? (input as FileIo) : (experimental?.input ?? (input as FileIo))
}

/** What a test looks at. */
export async function described(file: SentFile): Promise<Record<string, unknown>> {
  const { extension, name, size, type } = file
  return { size, type, name, extension, text: await file.text() }
}

export const uploadActions: Record<string, Handler> = {
  one: async io => described(await filesOf(io).file('Choose a photo', { helpText: 'Any kind' })),
  many: async io => {
    const files = await filesOf(io).file('Choose photos').multiple()
    const texts: Record<string, string> = {}
    for (const file of files) texts[file.name] = await file.text()
    return texts
  },
  kinds: async io =>
    described(await filesOf(io).file('Choose a table', { allowedExtensions: ['.csv', 'json'] })),
  optional: async io => {
    const file = await filesOf(io).file('Choose if you like').optional()
    return file === undefined ? 'nothing' : file.name
  },
  many_optional: async io => {
    const files = await filesOf(io).file('Choose some if you like').multiple().optional()
    return files === undefined ? 'nothing' : files.map(file => file.name).join(' and ')
  },
  form: async io => {
    const [title, file] = (await io.group([
      io.input.text('Title'),
      filesOf(io).file('Choose a picture'),
    ])) as [string, SentFile]
    return { title, name: file.name, bytes: (await file.buffer()).length }
  },
  twice: async io => {
    const file = await filesOf(io).file('Choose a photo')
    await io.input.text('Then')
    return { text: await file.text(), url: await file.url() }
  },
}
