/** Recovery codes, shown once: to be copied or kept as a file. */
import { CopyButton } from './copy-button.js'
import { Icon } from './icon.js'

export function RecoveryCodes({
  codes,
  email,
  onKept,
}: {
  codes: readonly string[]
  email: string
  onKept: () => void
}) {
  const text = `${codes.join('\n')}\n`
  const download = () => {
    const url = URL.createObjectURL(new Blob([`Recovery codes of ${email}\nEach works once.\n\n${text}`]))
    const link = document.createElement('a')
    link.href = url
    link.download = 'recovery-codes.txt'
    link.click()
    URL.revokeObjectURL(url)
  }
  return (
    <div className="grid gap-4">
      <p>
        Keep these recovery codes where you find them without your phone. Each opens your account once.{' '}
        <strong className="font-semibold">They are not shown again.</strong>
      </p>
      <ul
        aria-label="Recovery codes"
        className="grid grid-cols-2 gap-x-6 gap-y-1.5 rounded-control bg-sunken px-4 py-3 font-mono"
      >
        {codes.map(code => (
          <li key={code}>{code}</li>
        ))}
      </ul>
      <div className="flex flex-wrap gap-3">
        <button type="button" className="button small" onClick={download}>
          <Icon name="download" className="size-4" />
          Download
        </button>
        <CopyButton text={text} />
        <button type="button" className="button primary small ml-auto" onClick={onKept}>
          I have kept them
        </button>
      </div>
    </div>
  )
}
