/** The passwords that are tried first everywhere, of those with eight characters or more, in lower case. */
export const commonPasswords: ReadonlySet<string> = new Set(
  `12345678 123456789 1234567890 12345678910 11111111 111111111 00000000 000000000 87654321 987654321 88888888 99999999
  66666666 12341234 11223344 1122334455 123123123 123321123 12344321 147258369 789456123 159753456 12121212 69696969
  password password1 password12 password123 password1! passw0rd p@ssw0rd p@ssword pa55word passwort passw0rd1 password!
  qwertyui qwertyuiop qwerty12 qwerty123 qwerty1234 qwertz123 1q2w3e4r 1q2w3e4r5t q1w2e3r4 1qaz2wsx zaq12wsx qazwsxedc
  qweasdzxc asdfghjk asdfghjkl zxcvbnm1 zxcvbnm123 asdfasdf qweqweqwe azertyuiop
  iloveyou iloveyou1 sunshine princess princess1 football football1 baseball baseball1 basketball superman batman123
  trustno1 starwars whatever computer computer1 internet michelle jennifer jonathan danielle charlotte elizabeth
  liverpool chelsea1 arsenal1 barcelona manchester samantha alexander victoria veronica mercedes corvette maverick
  welcome1 welcome123 welcome2024 letmein1 letmein123 admin123 admin1234 administrator changeme changeme1 changeit
  default1 test1234 testtest testing123 abcd1234 abc12345 abcdefgh abcdefg1 a1b2c3d4 aa123456 secret123 monkey123
  dragon123 shadow123 master123 hello123 hellohello freedom1 blink182 pokemon1 midnight butterfly chocolate
  aaaaaaaa summer2024 winter2024 spring2024 interval interval1 intervalserver`
    .split(/\s+/)
    .filter(word => word !== ''),
)
