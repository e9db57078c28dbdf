export default {};
export const loader = {
  config() {},
  init() {
    return new Promise(() => {});
  },
};
