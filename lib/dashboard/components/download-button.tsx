/** Saves a text as a file. */
import { Icon } from './icon.js'

export function DownloadButton({ text, type, fileName }: { text: string; type: string; fileName: string }) {
  return (
    <button type="button" className="button small" onClick={() => saveFile(text, type, fileName)}>
      <Icon name="download" className="size-4" />
      Download
    </button>
  )
}

/** Hands a text, or what else a file is made of, to the browser as a download. */
export function saveFile(content: string | Blob, type: string, fileName: string): void {
  const address = URL.createObjectURL(new Blob([content], { type }))
  const link = document.createElement('a')
  link.href = address
  link.download = fileName.replace(/[/\\:*?"<>|]+/g, '-')
  link.click()
  setTimeout(() => URL.revokeObjectURL(address), 10_000)
}
