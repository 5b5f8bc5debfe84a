// Colours of cells. Classes have those of Okabe and Ito (2008), or the model's own; scores run
// along viridis. Both are told apart by colour-blind eyes.

const OKABE_ITO = ['#56b4e9', '#e69f00', '#009e73', '#cc79a7', '#f0e442', '#d55e00', '#0072b2'];
const VIRIDIS = ['#440154', '#472c7a', '#3b518b', '#2c718e', '#21908d', '#27ad81', '#5cc863', '#aadc32', '#fde725'];
const SCORE_STEPS = VIRIDIS.length;
export const TRUTH = '#ffffff';

export const gradient = `linear-gradient(to right, ${VIRIDIS.join(', ')})`;

export const css = ([red, green, blue]) => `rgb(${red} ${green} ${blue})`;

// The group of colours that cell i belongs to, and the colour of each group.
export function colouring(mode, cells, classColours) {
  if (mode === 'score') {
    return { of: i => Math.min(SCORE_STEPS - 1, Math.floor(cells.scores[i] * SCORE_STEPS)), colours: VIRIDIS };
  }
  // Numbers that lie side by side get colours that do not.
  if (mode === 'instance') return { of: i => (cells.ids[i] * 5 + (cells.ids[i] >> 3)) % OKABE_ITO.length, colours: OKABE_ITO };
  return { of: i => cells.labels[i], colours: classColours.map(css) };
}
