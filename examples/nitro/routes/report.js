// Made once in ten seconds; behind that the old report is served while a new one is made.
export default defineCachedEventHandler(() => ({ made: new Date().toISOString() }), { name: 'report', maxAge: 10 });
