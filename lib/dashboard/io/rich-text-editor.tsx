/**
 * The editor of formatted words and its bar of buttons, on TipTap. What it can hold is what its schema names: anything
 * else in a default value or in pasted HTML is dropped, so that nothing foreign runs here or reaches the host.
 */
import { Popover, PopoverDisclosure, PopoverProvider, usePopoverStore } from '@ariakit/react'
import { Editor, EditorContent, mergeAttributes, Node, useEditorState } from '@tiptap/react'
import StarterKit from '@tiptap/starter-kit'
import { type ReactNode, type RefObject, useEffect, useRef, useState } from 'react'
import { safeMediaUrl, safeUrl } from '../links.js'
import { textOf } from '../props.js'
import { controlProps } from './field.js'
import type { Component } from './method.js'
import { addressTyped } from './rich-text-value.js'

interface EditorProps {
  id: string
  component: Component
  html: string
  onHtml: (html: string) => void
  isDisabled: boolean
  error: string | null
  /** Where the focus was when the label was clicked before the editor was there: it gets the caret, if nothing else has. */
  awaitedFrom: RefObject<Element | null>
}

/** A picture by its address. */
const Picture = Node.create({
  name: 'picture',
  group: 'block',
  draggable: true,
  addAttributes() {
    return { src: { default: null }, alt: { default: null } }
  },
  parseHTML() {
    return [
      {
        tag: 'img[src]',
        getAttrs: element => safeMediaUrl(element.getAttribute('src') ?? '') !== null && null,
      },
    ]
  },
  renderHTML({ HTMLAttributes }) {
    return ['img', mergeAttributes(HTMLAttributes)]
  },
})

const extensions = [
  StarterKit.configure({
    heading: { levels: [1, 2, 3] },
    link: { openOnClick: false, isAllowedUri: address => safeUrl(address ?? '') !== null },
    // The answer ends where the person ended.
    trailingNode: false,
  }),
  Picture,
]

export default function RichTextEditor({
  id,
  component,
  html,
  onHtml,
  isDisabled,
  error,
  awaitedFrom,
}: EditorProps) {
  const latest = useRef(onHtml)
  latest.current = onHtml
  const sent = useRef(html)
  const [editor] = useState(
    () =>
      new Editor({
        extensions,
        content: html,
        editable: !isDisabled,
        onUpdate: ({ editor }) => {
          sent.current = editor.isEmpty ? '' : editor.getHTML()
          latest.current(sent.current)
        },
      }),
  )
  useEffect(() => () => editor.destroy(), [editor])
  useEffect(() => editor.setEditable(!isDisabled, false), [editor, isDisabled])
  useEffect(() => {
    if (awaitedFrom.current !== null && awaitedFrom.current === document.activeElement)
      editor.commands.focus('end')
    awaitedFrom.current = null
  }, [editor, awaitedFrom])
  const attributes = controlProps(id, component, error)
  const placeholder = textOf(component.props, 'placeholder')
  const isEmpty = useEditorState({ editor, selector: ({ editor }) => editor?.isEmpty ?? true })
  useEffect(() => {
    editor.setOptions({
      editorProps: {
        attributes: {
          id,
          role: 'textbox',
          'aria-multiline': 'true',
          'aria-labelledby': `${id}-label`,
          'aria-invalid': String(attributes['aria-invalid']),
          'aria-required': String(attributes['aria-required']),
          'aria-disabled': String(isDisabled),
          ...(attributes['aria-describedby'] === undefined
            ? {}
            : { 'aria-describedby': attributes['aria-describedby'] }),
          class: 'rich-text min-h-36 px-3 py-2 outline-none',
        },
      },
    })
  }, [
    editor,
    id,
    isDisabled,
    attributes['aria-invalid'],
    attributes['aria-required'],
    attributes['aria-describedby'],
  ])
  return (
    <div
      className={`rounded-control border focus-within:border-accent focus-within:outline-2 focus-within:outline-offset-[-1px] focus-within:outline-accent ${
        error === null ? 'border-line-strong' : 'border-danger'
      } ${isDisabled ? 'border-line bg-sunken text-muted' : 'bg-surface'}`}
    >
      {!isDisabled && <Bar editor={editor} />}
      <div className="relative">
        <EditorContent editor={editor} />
        {isEmpty === true && placeholder !== undefined && (
          <p
            aria-hidden="true"
            data-placeholder={placeholder}
            className="pointer-events-none absolute top-2 left-3 text-muted before:content-[attr(data-placeholder)]"
          />
        )}
      </div>
    </div>
  )
}

const levels = ['1', '2', '3'] as const

function Bar({ editor }: { editor: Editor }) {
  const now = useEditorState({
    editor,
    selector: ({ editor }) => ({
      level: levels.find(level => editor.isActive('heading', { level: Number(level) })) ?? '0',
      bold: editor.isActive('bold'),
      italic: editor.isActive('italic'),
      underline: editor.isActive('underline'),
      strike: editor.isActive('strike'),
      bullets: editor.isActive('bulletList'),
      numbers: editor.isActive('orderedList'),
      quote: editor.isActive('blockquote'),
      link: editor.isActive('link'),
      canUndo: editor.can().undo(),
      canRedo: editor.can().redo(),
    }),
  })
  /** The caret stays where it is, and typing goes on there at once. */
  const run = (change: (chain: ReturnType<Editor['chain']>) => ReturnType<Editor['chain']>) => {
    editor.view.focus()
    change(editor.chain()).run()
  }
  return (
    <div
      role="toolbar"
      aria-label="Formatting"
      className="flex flex-wrap items-center gap-0.5 rounded-t-control border-b border-line bg-sunken p-1"
    >
      <select
        aria-label="Heading level"
        data-no-first-focus=""
        className="h-8 rounded bg-transparent px-2 text-sm"
        value={now.level}
        onChange={event => {
          const level = Number(event.target.value)
          run(chain =>
            level === 1 || level === 2 || level === 3 ? chain.setHeading({ level }) : chain.setParagraph(),
          )
        }}
      >
        <option value="0">Paragraph</option>
        {levels.map(level => (
          <option key={level} value={level}>
            Heading {level}
          </option>
        ))}
      </select>
      <Divider />
      <Tool label="Toggle bold" keys="B" isOn={now.bold} onPress={() => run(chain => chain.toggleBold())}>
        <path d="M7 5h6a3.500 3.500 0 0 1 0 7H7zM7 12h7a3.500 3.500 0 0 1 0 7H7z" />
      </Tool>
      <Tool
        label="Toggle italic"
        keys="I"
        isOn={now.italic}
        onPress={() => run(chain => chain.toggleItalic())}
      >
        <path d="M10 5h8M6 19h8M14 5l-4 14" />
      </Tool>
      <Tool
        label="Toggle underline"
        keys="U"
        isOn={now.underline}
        onPress={() => run(chain => chain.toggleUnderline())}
      >
        <path d="M7 4v7a5 5 0 0 0 10 0V4M6 20h12" />
      </Tool>
      <Tool
        label="Toggle strikethrough"
        keys="Shift+S"
        isOn={now.strike}
        onPress={() => run(chain => chain.toggleStrike())}
      >
        <path d="M4 12h16M16 7.500C16 5.500 14.200 4.500 12 4.500s-4 1-4 3M8 16.500c0 2 1.800 3 4 3s4-1 4-3" />
      </Tool>
      <Divider />
      <Tool
        label="Toggle bullet list"
        keys="Shift+8"
        isOn={now.bullets}
        onPress={() => run(chain => chain.toggleBulletList())}
      >
        <path d="M9 6h11M9 12h11M9 18h11M4.500 6h.01M4.500 12h.01M4.500 18h.01" />
      </Tool>
      <Tool
        label="Toggle numbered list"
        keys="Shift+7"
        isOn={now.numbers}
        onPress={() => run(chain => chain.toggleOrderedList())}
      >
        <path d="M10 6h10M10 12h10M10 18h10M4 4.500 5.500 4v5M4 14.500c.5-1 2.500-1 2.500.5S4 17 4 18.500h2.500" />
      </Tool>
      <Tool
        label="Toggle quote"
        keys="Shift+B"
        isOn={now.quote}
        onPress={() => run(chain => chain.toggleBlockquote())}
      >
        <path d="M5 17c2 0 3.500-2 3.500-4.500V7H4v5h4.500M14 17c2 0 3.500-2 3.500-4.500V7H13v5h4.500" />
      </Tool>
      <Divider />
      <AddressTool
        label="Link"
        isOn={now.link}
        initial={() => String(editor.getAttributes('link').href ?? '')}
        onRemove={now.link ? () => run(chain => chain.extendMarkRange('link').unsetLink()) : undefined}
        onAddress={href => {
          const { empty } = editor.state.selection
          run(chain =>
            empty && !now.link
              ? chain.insertContent({ type: 'text', text: href, marks: [{ type: 'link', attrs: { href } }] })
              : chain.extendMarkRange('link').setLink({ href }),
          )
        }}
        icon={
          <path d="M10 14a4 4 0 0 0 6 .5l3-3a4 4 0 0 0-5.700-5.700L12 7M14 10a4 4 0 0 0-6-.5l-3 3a4 4 0 0 0 5.700 5.700L12 17" />
        }
      />
      <AddressTool
        label="Image"
        isOn={false}
        initial={() => ''}
        onAddress={src => run(chain => chain.insertContent({ type: 'picture', attrs: { src } }))}
        icon={<path d="M4 5h16v14H4zM4 16l4.500-4.500 4 4 3-3L20 16M15 9h.01" />}
      />
      <Divider />
      <Tool
        label="Undo"
        keys="Z"
        isOn={null}
        isDisabled={!now.canUndo}
        onPress={() => run(chain => chain.undo())}
      >
        <path d="M8 5 4 9l4 4M4 9h10a6 6 0 0 1 0 12h-3" />
      </Tool>
      <Tool
        label="Redo"
        keys="Shift+Z"
        isOn={null}
        isDisabled={!now.canRedo}
        onPress={() => run(chain => chain.redo())}
      >
        <path d="m16 5 4 4-4 4M20 9H10a6 6 0 0 0 0 12h3" />
      </Tool>
      <Tool
        label="Clear formatting"
        isOn={null}
        onPress={() => run(chain => chain.unsetAllMarks().clearNodes())}
      >
        <path d="M6 5h12M12 5l-2 10M4 20h8M15 15l5 5M20 15l-5 5" />
      </Tool>
    </div>
  )
}

function Divider() {
  return <span aria-hidden="true" className="mx-1 h-5 w-px bg-line" />
}

const toolClass = 'grid size-8 place-items-center rounded hover:not-disabled:bg-surface disabled:opacity-40'

function Sign({ children }: { children: ReactNode }) {
  return (
    <svg
      aria-hidden="true"
      className="size-4.5"
      viewBox="0 0 24 24"
      fill="none"
      stroke="currentColor"
      strokeWidth="1.75"
      strokeLinecap="round"
      strokeLinejoin="round"
    >
      {children}
    </svg>
  )
}

const modifier = /Mac|iP/.test(navigator.platform) ? '⌘' : 'Ctrl+'

function Tool({
  label,
  keys,
  isOn,
  isDisabled = false,
  onPress,
  children,
}: {
  label: string
  keys?: string
  /** Null for what does something once. */
  isOn: boolean | null
  isDisabled?: boolean
  onPress: () => void
  children: ReactNode
}) {
  return (
    <button
      type="button"
      aria-label={label}
      title={keys === undefined ? label : `${label} (${modifier}${keys})`}
      aria-pressed={isOn ?? undefined}
      disabled={isDisabled}
      className={`${toolClass} ${isOn ? 'bg-accent-soft text-accent' : ''}`}
      // The caret stays in the words.
      onMouseDown={event => event.preventDefault()}
      onClick={onPress}
    >
      <Sign>{children}</Sign>
    </button>
  )
}

/** A button that asks for an address in a small window of its own. */
function AddressTool({
  label,
  icon,
  isOn,
  initial,
  onAddress,
  onRemove,
}: {
  label: string
  icon: ReactNode
  isOn: boolean
  initial: () => string
  onAddress: (address: string) => void
  onRemove?: (() => void) | undefined
}) {
  const store = usePopoverStore({ placement: 'bottom-start' })
  const [typed, setTyped] = useState('')
  const [isWrong, setWrong] = useState(false)
  const apply = () => {
    const address = addressTyped(typed)
    if (address === null) return setWrong(true)
    store.hide()
    onAddress(address)
  }
  return (
    <PopoverProvider store={store}>
      <PopoverDisclosure
        aria-label={isOn ? `Change ${label.toLowerCase()}` : `Insert ${label.toLowerCase()}`}
        title={isOn ? `Change ${label.toLowerCase()}` : `Insert ${label.toLowerCase()}`}
        className={`${toolClass} ${isOn ? 'bg-accent-soft text-accent' : ''}`}
        onClick={() => {
          setTyped(initial())
          setWrong(false)
        }}
      >
        <Sign>{icon}</Sign>
      </PopoverDisclosure>
      <Popover
        unmountOnHide
        portal={false}
        fixed
        gutter={4}
        aria-label={label}
        className="card z-40 flex w-80 max-w-[calc(100vw-2rem)] flex-wrap gap-2 p-2 shadow-xl outline-none"
      >
        <input
          type="url"
          aria-label={`Address of the ${label.toLowerCase()}`}
          aria-invalid={isWrong}
          className="control min-h-8! flex-1 py-1! text-sm"
          placeholder="https://"
          value={typed}
          onChange={event => {
            setTyped(event.target.value)
            setWrong(false)
          }}
          onKeyDown={event => {
            if (event.key !== 'Enter') return
            // The address is meant, not the whole form.
            event.preventDefault()
            apply()
          }}
        />
        <button type="button" className="button small primary" onClick={apply}>
          {isOn ? 'Change' : 'Insert'}
        </button>
        {onRemove && (
          <button
            type="button"
            className="button small"
            onClick={() => {
              store.hide()
              onRemove()
            }}
          >
            Remove
          </button>
        )}
        {isWrong && <p className="w-full text-sm text-danger">This is no address of the web.</p>}
      </Popover>
    </PopoverProvider>
  )
}
