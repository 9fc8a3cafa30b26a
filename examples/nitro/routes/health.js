// What the cache beneath says of its Redis.
export default defineEventHandler(() => useStorage().getMount('cache:').driver.getInstance().health());
