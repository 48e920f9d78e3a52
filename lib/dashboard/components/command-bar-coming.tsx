/** What stands where the command bar will be as soon as it is loaded: what was typed for it so far. */
import { Icon } from './icon.js'

/** The place and the frame of both. */
export const commandBarCard =
  'card fixed inset-x-4 top-[12vh] z-50 mx-auto flex max-h-[70vh] max-w-xl flex-col overflow-hidden shadow-2xl outline-none'

export function CommandBarComing({ text }: { text: string }) {
  return (
    <div role="dialog" aria-modal="true" aria-label="Commands" aria-busy="true">
      <div className="fixed inset-0 z-50 bg-black/40" />
      <div className={commandBarCard}>
        <p className="flex items-center gap-3 px-4">
          <Icon name="search" className="size-5 text-muted" />
          <span className={`py-3.5 text-base ${text === '' ? 'text-muted' : ''}`}>{text || 'Go to…'}</span>
        </p>
      </div>
    </div>
  )
}
