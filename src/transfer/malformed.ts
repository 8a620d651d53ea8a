/** What arrived is not what was asked for: too little, too much, or nothing that decodes. As good as a cut, and worth another try. */
export class Malformed extends Error {}
