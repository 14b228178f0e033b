// Sessions use the machine's two cores themselves; running tests side by side only makes them slower and noisier.
[assembly: DoNotParallelize]
