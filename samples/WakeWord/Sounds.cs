using OrtCpr.Data;

namespace WakeWord;

// A stretch of sound, and whether it is the word.
internal sealed record Clip(float[] Samples, bool IsWord);

// Sounds with the times of what is to be heard in them.
internal sealed record Recording(float[] Samples, IReadOnlyList<(int Start, int End, bool IsWord)> Events);

// The word is two tones with overtones, the second a fifth above the first, at any pitch within a third of an octave. What it may be taken
// for: the tones in the other order, other steps upward, one tone, three tones, a glide; all in noise of any loudness, and noise alone.
// Words are whole; of other sounds a part may be all that is heard, as where a stretch of a recording begins or ends within them.
internal sealed class Sounds(long seed)
{
    private const double Fifth = 1.5, Lowest = 380, Pitches = 1.26;
    private const int Rate = Settings.SampleRate, Others = 7;

    // A third of them words, each in a place of its own.
    public Clip[] Make(int count, int samples, long stream) => [.. Enumerable.Range(0, count).Select(i =>
    {
        var random = new Drawn(SplitMix64.For(seed + (stream * 1_000_003), i));
        float[] sound = Noise(random, samples);
        bool isWord = i % 3 == 0;
        double[] tones = isWord ? Tones(random, 0) : Tones(random, 1 + (i / 3 * 2 % Others) + (i % 3 == 1 ? 0 : 1));
        Add(random, sound, tones, random.Between(0.02, 0.15), isWord ? random.Between(0, 1) : random.Between(-0.7, 1.7));
        return new Clip(sound, isWord);
    })];

    // A word and something else in turn, so many of both, with seconds between.
    public Recording Record(int events)
    {
        var random = new Drawn(SplitMix64.For(seed, -7));
        int gap = 2 * Rate;
        float[] sound = Noise(random, (events + 1) * gap);
        var all = new List<(int, int, bool)>();
        for (int i = 0; i < events; i++)
        {
            bool isWord = i % 2 == 1;
            double[] tones = isWord ? Tones(random, 0) : Tones(random, 2 + (i / 2 % (Others - 1)));
            int start = (i + 1) * gap - (Rate / 4), length = Add(random, sound.AsSpan(start, gap), tones, random.Between(0.05, 0.12), 0);
            all.Add((start, start + length, isWord));
        }
        return new Recording(sound, all);
    }

    // Frequencies one after the other; a negative one glides on to the next.
    private static double[] Tones(Drawn random, int kind)
    {
        double low = Lowest * Math.Pow(Pitches, random.Between(0, 1)), high = low * Fifth * random.Between(0.98, 1.02);
        return kind switch
        {
            0 => [low, high],
            1 => [],
            2 => [high, low],
            3 => [low, low * random.Between(1.12, 1.25)],
            4 => [low, low * random.Between(1.8, 2.1)],
            5 => [random.Between(0, 1) < 0.5 ? low : high],
            6 => [high, low, low / Fifth],
            7 => [-low, high],
            _ => [random.Between(200, 2000), random.Between(200, 2000)],
        };
    }

    // Adds tones that begin at a share of the room that they leave, outside of it below 0 and above 1; gives the samples that they take.
    private static int Add(Drawn random, Span<float> sound, double[] tones, double size, double at)
    {
        int[] lengths = [.. tones.Select(_ => (int)(random.Between(0.16, 0.28) * Rate))];
        int pause = (int)(random.Between(0.01, 0.06) * Rate), whole = lengths.Sum() + (Math.Max(0, tones.Length - 1) * pause);
        int first = (int)(at * Math.Max(1, sound.Length - whole));
        double[] overtones = [1, random.Between(0.2, 0.7), random.Between(0.05, 0.4)];
        for (int t = 0; t < tones.Length; t++)
        {
            double phase = 0;
            for (int i = 0; i < lengths[t] && first + i < sound.Length; i++)
            {
                double share = (double)i / lengths[t];
                double tone = tones[t] < 0 ? -tones[t] + ((tones[(t + 1) % tones.Length] + tones[t]) * share) : tones[t];
                phase += 2 * Math.PI * tone / Rate;
                double value = overtones.Select((o, n) => o * Math.Sin((n + 1) * phase)).Sum();
                if (first + i >= 0) sound[first + i] += (float)(size * Math.Sin(Math.PI * share) * value);
            }
            first += lengths[t] + pause;
        }
        return whole;
    }

    // Noise that is weaker the higher it is.
    private static float[] Noise(Drawn random, int samples)
    {
        float[] noise = new float[samples];
        double size = 0.03 * Math.Pow(10, -random.Between(0, 1.5)), kept = random.Between(0, 0.9), last = 0;
        for (int i = 0; i < samples; i++)
        {
            last = (kept * last) + random.Between(-1, 1);
            noise[i] = (float)(size * last);
        }
        return noise;
    }

    private sealed class Drawn(SplitMix64 random)
    {
        public double Between(double low, double high) => low + ((high - low) * random.NextDouble());
    }
}
