/** What a menu button opens; rendered only while open. */
import { Menu as BareMenu, type MenuProps, useMenuContext } from '@ariakit/react'

export function Menu({ className = '', ...props }: MenuProps) {
  const menu = useMenuContext()
  return (
    <BareMenu
      unmountOnHide
      gutter={4}
      // Left to it, Ariakit hides a menu a second time two frames after Escape, also when it is open again by then.
      hideOnEscape={() => {
        menu?.hide()
        return false
      }}
      className={`card z-40 grid gap-0.5 p-1 shadow-xl outline-none ${className}`}
      {...props}
    />
  )
}
