/**
 * The files of one field: chosen, on their way, there. Sending begins with the choice. Places come from the server or,
 * where the host has its own, from the host: it is told names and types as a state, and the next render has the places.
 *
 * The files themselves live here and not in the draft, which is plain JSON: after a reload a file that was still on its
 * way has to be chosen again.
 */
import { useEffect, useRef, useState } from 'react'
import type { UploadGrant } from '../../clients/wire.js'
import { isRecord, recordsOf, textOf } from '../props.js'
import { type Destination, NotSent, type Sending, sendFile } from './file-sender.js'
import type { Component, FileTransfer } from './method.js'

export interface ChosenFile {
  /** Known to this window only. */
  key: string
  name: string
  type: string
  size: number
  /** In ms since 1970. */
  lastModified: number
  state: 'sending' | 'sent' | 'failed'
  /** Where the host reads it, once it is there. */
  url: string | null
  /** Why it is not there. */
  problem: string | null
}

export interface Uploads {
  files: readonly ChosenFile[]
  /** From 0 to 1, by key. */
  progress: Readonly<Record<string, number>>
  /** A picture of it, by key. */
  previews: Readonly<Record<string, string>>
  add: (files: readonly File[]) => void
  remove: (key: string) => void
  /** Undefined where only choosing again helps. */
  retry: (key: string) => (() => void) | undefined
}

/** Where a file is to go, and what is answered then. */
interface Place extends Destination {
  downloadUrl: string
  confirmId: string | null
}

const hostAnswerMsMax = 20_000
const previewBytesMax = 20_971_520
const interrupted = 'The page was loaded anew before it was sent. Choose it again.'

export function useUploads(options: {
  component: Component
  draft: readonly ChosenFile[]
  onDraft: (draft: ChosenFile[]) => void
  transfer: FileTransfer | undefined
  onState: ((state: unknown) => void) | undefined
  /** What is wrong with a file of this name; null when nothing is. */
  problemOf: (name: string) => string | null
}): Uploads {
  const { component, draft } = options
  const now = useRef(options)
  now.current = options
  const [files, setFiles] = useState<readonly ChosenFile[]>(() =>
    draft.map(file =>
      file.state === 'sending' ? { ...file, state: 'failed' as const, problem: interrupted } : file,
    ),
  )
  const [progress, setProgress] = useState<Readonly<Record<string, number>>>({})
  const [previews, setPreviews] = useState<Readonly<Record<string, string>>>({})
  const contents = useRef(new Map<string, File>())
  const places = useRef(new Map<string, Place>())
  const sendings = useRef(new Map<string, Sending>())
  /** Keys whose places the host was asked for, in the order it was told. */
  const asked = useRef<{ keys: readonly string[]; timer: ReturnType<typeof setTimeout> } | null>(null)

  // The draft follows; what changes with every packet stays here.
  const text = JSON.stringify(files)
  const told = useRef(JSON.stringify(draft))
  useEffect(() => {
    if (told.current === text) return
    told.current = text
    now.current.onDraft(JSON.parse(text) as ChosenFile[])
  }, [text])

  const shown = useRef(previews)
  shown.current = previews
  useEffect(
    () => () => {
      for (const url of Object.values(shown.current)) URL.revokeObjectURL(url)
      if (asked.current) clearTimeout(asked.current.timer)
    },
    [],
  )

  const change = (key: string, part: Partial<ChosenFile>) =>
    setFiles(known => known.map(file => (file.key === key ? { ...file, ...part } : file)))
  const fail = (keys: readonly string[], problem: string) => {
    for (const key of keys) change(key, { state: 'failed', problem })
  }

  const send = (key: string, place: Place) => {
    const file = contents.current.get(key)
    if (!file) return
    places.current.set(key, place)
    sendings.current.get(key)?.abort()
    const sending = sendFile(file, place, part =>
      setProgress(known => (contents.current.has(key) ? { ...known, [key]: part } : known)),
    )
    sendings.current.set(key, sending)
    const isCurrent = () => sendings.current.get(key) === sending
    sending.done
      .then(() => (place.confirmId === null ? undefined : now.current.transfer?.confirm(place.confirmId)))
      .then(
        () => isCurrent() && change(key, { state: 'sent', url: place.downloadUrl, problem: null }),
        (error: Error) => {
          if (!isCurrent()) return
          if (error instanceof NotSent && !error.isPlaceGood) places.current.delete(key)
          fail([key], error.message)
        },
      )
  }

  const askServer = (keys: readonly string[]) => {
    const wanted = keys.map(key => contents.current.get(key)).filter(file => file !== undefined)
    const { transfer } = now.current
    if (wanted.length === 0 || !transfer) return
    transfer.ask(wanted.map(({ name, type, size }) => ({ name, type, size }))).then(
      grants => {
        for (const [index, key] of keys.entries()) {
          const grant = grants[index]
          if (grant && contents.current.has(key)) send(key, placeOf(grant))
        }
      },
      (error: Error) => fail(keys, error.message),
    )
  }

  const askHost = (chosen: readonly ChosenFile[]) => {
    if (asked.current) clearTimeout(asked.current.timer)
    const keys = chosen.map(({ key }) => key)
    const timer = setTimeout(() => {
      asked.current = null
      fail(keys, 'The action did not say where it is to be sent.')
    }, hostAnswerMsMax)
    asked.current = { keys, timer }
    now.current.onState?.({ files: chosen.map(({ name, type }) => ({ name, type })) })
  }

  // Places of the host come with a render. An SDK that has none leaves them out then, or says null after an empty list.
  const [first] = useState(component.props.fileUrls)
  const isHosts = now.current.onState !== undefined && (first === null || Array.isArray(first))
  // biome-ignore lint/correctness/useExhaustiveDependencies: each render of the host brings new props
  useEffect(() => {
    const wanted = asked.current
    if (!wanted) return
    const { fileUrls } = component.props
    const urls = recordsOf(component.props, 'fileUrls')
    const hasNone = fileUrls === undefined || (fileUrls === null && Array.isArray(first))
    if (!hasNone && urls.length !== wanted.keys.length) return
    clearTimeout(wanted.timer)
    asked.current = null
    if (hasNone) return askServer(wanted.keys)
    for (const [index, key] of wanted.keys.entries()) {
      const place = hostPlace(urls[index])
      if (place) send(key, place)
      else fail([key], 'The action said nothing of use about where it is to be sent.')
    }
  }, [component.props])

  const forget = (key: string) => {
    sendings.current.get(key)?.abort()
    sendings.current.delete(key)
    contents.current.delete(key)
    places.current.delete(key)
    const preview = shown.current[key]
    if (preview === undefined) return
    URL.revokeObjectURL(preview)
    setPreviews(({ [key]: _gone, ...left }) => left)
  }

  const start = (all: readonly ChosenFile[], fresh: readonly ChosenFile[]) => {
    if (!isHosts) return askServer(fresh.map(({ key }) => key))
    // The host names places for all or for none: what was there already is sent again.
    const whole = all.filter(({ key }) => contents.current.has(key))
    for (const { key } of whole) {
      sendings.current.get(key)?.abort()
      sendings.current.delete(key)
      change(key, { state: 'sending', url: null, problem: null })
    }
    askHost(whole)
  }

  return {
    files,
    progress,
    previews,
    add(chosen) {
      const { isMultiple } = component
      const taken = isMultiple ? chosen : chosen.slice(0, 1)
      if (taken.length === 0) return
      if (!isMultiple) for (const { key } of files) forget(key)
      const fresh = taken.map((file): ChosenFile => {
        const key = crypto.getRandomValues(new Uint32Array(4)).join('-')
        const problem = now.current.problemOf(file.name)
        const { name, type, size, lastModified } = file
        if (problem === null) contents.current.set(key, file)
        return {
          key,
          name,
          type,
          size,
          lastModified,
          state: problem === null ? 'sending' : 'failed',
          url: null,
          problem,
        }
      })
      const pictures = fresh.flatMap(({ key, size }) => {
        const file = contents.current.get(key)
        const isPicture =
          file && /^image\/(png|jpeg|gif|webp|avif)$/.test(file.type) && size <= previewBytesMax
        return isPicture ? [[key, URL.createObjectURL(file)] as const] : []
      })
      setPreviews(known => ({ ...known, ...Object.fromEntries(pictures) }))
      const kept = isMultiple ? files : []
      // What is drawn may be older than what is known: one that has just been sent would be on its way for ever.
      setFiles(known => [...(isMultiple ? known : []), ...fresh])
      start(
        [...kept, ...fresh],
        fresh.filter(({ problem }) => problem === null),
      )
    },
    remove(key) {
      forget(key)
      setFiles(known => known.filter(file => file.key !== key))
    },
    retry(key) {
      if (!contents.current.has(key)) return undefined
      return () => {
        change(key, { state: 'sending', problem: null })
        const place = places.current.get(key)
        if (place) send(key, place)
        else if (isHosts) start(files, [])
        else askServer([key])
      }
    },
  }
}

function placeOf({ confirms, downloadUrl, headers, id, uploadUrl }: UploadGrant): Place {
  return { url: uploadUrl, headers, downloadUrl, isOurs: !confirms, confirmId: confirms ? id : null }
}

/** A host may name any place but this server: a request here would be made in the person's name. */
function hostPlace(urls: unknown): Place | null {
  if (!isRecord(urls)) return null
  const url = textOf(urls, 'uploadUrl')
  const downloadUrl = textOf(urls, 'downloadUrl')
  if (url === undefined || downloadUrl === undefined || !URL.canParse(url)) return null
  const { origin, protocol } = new URL(url)
  if (!/^https?:$/.test(protocol) || origin === window.location.origin) return null
  return { url, headers: {}, downloadUrl, isOurs: false, confirmId: null }
}
