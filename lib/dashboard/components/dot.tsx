/** The colour by which an environment is told apart; never the only sign of it. */
const colors = {
  gray: 'bg-[#7b8488]',
  red: 'bg-[#d64545]',
  orange: 'bg-[#e07b2f]',
  yellow: 'bg-[#d9b11e]',
  green: 'bg-[#2f9e63]',
  blue: 'bg-[#3b7ddd]',
  purple: 'bg-[#8b5fcf]',
}

export const dotColors = Object.keys(colors)

export function Dot({ color }: { color: string | null }) {
  const known = color !== null && Object.hasOwn(colors, color) ? colors[color as keyof typeof colors] : null
  return (
    <span
      aria-hidden="true"
      className={`size-3 flex-none rounded-full ${known ?? 'border border-line-strong'}`}
    />
  )
}
