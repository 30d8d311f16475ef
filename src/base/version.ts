/** The version of this program, and of the data directories that it creates and reads. */
export const VERSION = "0.2.0";
export const FORMAT_VERSION = 2;
