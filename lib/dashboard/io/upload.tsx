/** UPLOAD_FILE: a place to drop files on, or to choose them with; they are sent while the rest of the form is filled in. */
import { useState } from 'react'
import { Icon } from '../components/icon.js'
import { DrawnWords, Words } from '../components/words.js'
import { flagOf, isRecord, type Props } from '../props.js'
import { controlProps, FieldFrame } from './field.js'
import { type Component, type FieldProps, inputMethod, type Reading, readEmpty } from './method.js'
import { type ChosenFile, useUploads } from './use-uploads.js'

export const upload = inputMethod<ChosenFile[]>({
  initial: () => [],
  accepts: (draft): draft is ChosenFile[] => Array.isArray(draft) && draft.every(isChosen),
  read: readFiles,
  View: UploadField,
})

function isChosen(item: unknown): item is ChosenFile {
  return (
    isRecord(item) &&
    typeof item.key === 'string' &&
    typeof item.name === 'string' &&
    typeof item.type === 'string' &&
    typeof item.size === 'number' &&
    typeof item.lastModified === 'number' &&
    (item.state === 'sending' || item.state === 'sent' || item.state === 'failed')
  )
}

function readFiles(draft: readonly ChosenFile[], component: Component): Reading {
  if (draft.length === 0) return readEmpty(component)
  const failed = draft.find(file => file.state === 'failed')
  if (failed) return { error: failed.problem ?? 'A file was not sent.' }
  if (draft.some(file => file.state === 'sending')) return { wait: true }
  const values = draft.map(({ name, type, size, lastModified, url }) => ({
    name,
    type,
    size,
    lastModified,
    url,
  }))
  return { value: component.isMultiple ? values : values[0] }
}

/** Endings of names that the host takes, each with its dot; none: all. */
function endingsOf(props: Props): string[] {
  const given = Array.isArray(props.allowedExtensions) ? props.allowedExtensions : []
  return given
    .filter(ending => typeof ending === 'string')
    .map(ending => (ending.startsWith('.') ? ending : `.${ending}`))
}

function UploadField({
  id,
  component,
  draft,
  onDraft,
  isDisabled,
  error,
  files: transfer,
  onState,
}: FieldProps<ChosenFile[]>) {
  const off = isDisabled || transfer === undefined || flagOf(component.props, 'disabled')
  const endings = endingsOf(component.props)
  const [isOver, setOver] = useState(false)
  const uploads = useUploads({
    component,
    draft,
    onDraft,
    transfer,
    onState,
    problemOf: name =>
      endings.length === 0 || endings.some(ending => name.toLowerCase().endsWith(ending.toLowerCase()))
        ? null
        : `Please choose a file of type ${endings.join(', ')}.`,
  })
  const { files } = uploads
  const many = component.isMultiple
  return (
    <FieldFrame id={id} component={component} error={error}>
      <div
        className={`relative grid justify-items-center gap-1 rounded-card border border-dashed px-4 py-5 text-center has-focus-visible:outline-2 has-focus-visible:outline-accent ${
          isOver ? 'border-accent bg-accent-soft' : error === null ? 'border-line-strong' : 'border-danger'
        } ${off ? 'bg-sunken text-muted' : 'bg-surface'}`}
      >
        <Icon name="upload" className="size-6 text-muted" />
        {/* Drawn: a field may well be labelled "File". */}
        <DrawnWords value={true}>
          <p aria-hidden="true">
            <Words isHint>{many ? 'Drop files here, or ' : 'Drop a file here, or '}</Words>
            <Words isHint className={off ? '' : 'link'}>
              {files.length > 0 && !many ? 'choose another' : 'choose'}
            </Words>
          </p>
        </DrawnWords>
        {endings.length > 0 && <p className="text-sm text-muted">{endings.join(', ')}</p>}
        <input
          {...controlProps(id, component, error)}
          type="file"
          multiple={many}
          accept={endings.join(',') || undefined}
          disabled={off}
          className="absolute inset-0 size-full cursor-pointer opacity-0 disabled:cursor-not-allowed"
          onDragEnter={() => setOver(true)}
          onDragLeave={() => setOver(false)}
          onDrop={() => setOver(false)}
          onChange={event => {
            const chosen = [...(event.target.files ?? [])]
            // The same file may be chosen again.
            event.target.value = ''
            uploads.add(chosen)
          }}
        />
      </div>
      <p role="status" className="text-sm font-medium empty:hidden">
        {files.length === 0 ? '' : files.length === 1 ? 'File selected' : `${files.length} files selected`}
      </p>
      {files.length > 0 && (
        <ul className="grid gap-2">
          {files.map(file => (
            <FileRow
              key={file.key}
              file={file}
              part={uploads.progress[file.key] ?? 0}
              preview={uploads.previews[file.key]}
              isOff={off}
              isToldBelow={error !== null && error === file.problem}
              onRemove={() => {
                uploads.remove(file.key)
                document.getElementById(id)?.focus()
              }}
              onRetry={file.state === 'failed' ? uploads.retry(file.key) : undefined}
            />
          ))}
        </ul>
      )}
    </FieldFrame>
  )
}

function FileRow({
  file,
  part,
  preview,
  isOff,
  isToldBelow,
  onRemove,
  onRetry,
}: {
  file: ChosenFile
  part: number
  preview: string | undefined
  isOff: boolean
  /** The field says what is wrong with it. */
  isToldBelow: boolean
  onRemove: () => void
  onRetry: (() => void) | undefined
}) {
  const [isBroken, setBroken] = useState(false)
  const percent = Math.min(100, Math.floor(part * 100))
  return (
    <li className="card flex min-w-0 items-center gap-3 px-3 py-2">
      {preview === undefined || isBroken ? (
        <span className="grid size-10 flex-none place-items-center rounded bg-sunken text-muted">
          <Icon name="file" />
        </span>
      ) : (
        <img
          src={preview}
          alt=""
          width={40}
          height={40}
          className="size-10 flex-none rounded object-cover"
          onError={() => setBroken(true)}
        />
      )}
      <div className="grid min-w-0 flex-1 gap-1">
        <p className="flex min-w-0 items-baseline gap-2">
          <span className="truncate" title={file.name}>
            {file.name}
          </span>
          <span className="flex-none text-sm text-muted">{sizeText(file.size)}</span>
        </p>
        <div className="flex min-h-5 items-center gap-2 text-sm">
          {file.state === 'sending' && (
            <>
              <span
                role="progressbar"
                aria-label={`Sending ${file.name}`}
                aria-valuemin={0}
                aria-valuemax={100}
                aria-valuenow={percent}
                className="h-1.5 flex-1 overflow-hidden rounded-full bg-sunken"
              >
                <span className="block h-full rounded-full bg-accent" style={{ width: `${percent}%` }} />
              </span>
              <span className="w-10 flex-none text-right text-muted">{percent}%</span>
            </>
          )}
          {file.state === 'sent' && (
            <span className="flex items-center gap-1 text-success">
              <Icon name="check" className="size-4" />
              Sent
            </span>
          )}
          {file.state === 'failed' && (
            <span role="alert" className="text-danger">
              {isToldBelow ? 'Not sent' : file.problem}
            </span>
          )}
        </div>
      </div>
      {!isOff && onRetry && (
        <button type="button" className="button small" onClick={onRetry}>
          Try again
        </button>
      )}
      {!isOff && (
        <button
          type="button"
          aria-label={`Remove ${file.name}`}
          className="grid size-8 flex-none place-items-center rounded-control hover:bg-sunken"
          onClick={onRemove}
        >
          <Icon name="close" className="size-4" />
        </button>
      )}
    </li>
  )
}

const units = ['bytes', 'KB', 'MB', 'GB'] as const

function sizeText(bytes: number): string {
  let size = bytes
  let unit = 0
  while (size >= 1_024 && unit < units.length - 1) {
    size /= 1_024
    unit += 1
  }
  const digits = unit === 0 || size >= 100 ? 0 : 1
  const name = bytes === 1 ? 'byte' : units[unit]
  return `${size.toLocaleString('en-US', { maximumFractionDigits: digits })} ${name}`
}
