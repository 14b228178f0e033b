using OrtCpr.Graph;

namespace OrtCpr.Tests;

/// <summary>Damages bytes in the ways that files get damaged, from a fixed seed.</summary>
internal static class Mutations
{
    private const long MaxAllocation = 64 << 20;

    private static readonly TimeSpan LongestRead = TimeSpan.FromSeconds(30);

    // ORTCPR_MUTATIONS raises the number of every format to at least its own.
    private static readonly int Least =
        int.TryParse(Environment.GetEnvironmentVariable("ORTCPR_MUTATIONS"), System.Globalization.NumberStyles.None,
        System.Globalization.CultureInfo.InvariantCulture, out int n) ? n : 0;

    /// <summary>How many there are where a test asks for so many.</summary>
    internal static int Count(int asked) => Math.Max(asked, Least);

    /// <summary>Reads mutated copies: each must work or end in an error of ours, without a large allocation.</summary>
    /// <returns>How many were refused.</returns>
    internal static int Survive(byte[] original, int count, int seed, Action<byte[]> read)
    {
        Random random = new(seed);
        count = Count(count);
        int refused = 0;
        for (int i = 0; i < count; i++)
        {
            byte[] bytes = Mutate(original, random);
            (bool isRefused, Exception? error, long allocated) = (false, null, 0);
            // On a thread of its own, so that one that never ends is told instead of waited for.
            var reading = new Thread(() =>
            {
                long before = GC.GetAllocatedBytesForCurrentThread();
                try
                {
                    read(bytes);
                }
                catch (OrtCprException)
                {
                    isRefused = true;
                }
#pragma warning disable CA1031 // Told by the thread that asked.
                catch (Exception other)
#pragma warning restore CA1031
                {
                    error = other;
                }
                allocated = GC.GetAllocatedBytesForCurrentThread() - before;
            })
            { IsBackground = true };
            reading.Start();
            Assert.IsTrue(reading.Join(LongestRead), $"Mutation {i} of seed {seed} is not read after {LongestRead.TotalSeconds} s.");
            Assert.IsNull(error, $"Mutation {i} of seed {seed} ended in {error}");
            Assert.IsLessThan(MaxAllocation, allocated, $"Mutation {i} of seed {seed} allocated {allocated} bytes.");
            if (isRefused) refused++;
        }
        return refused;
    }

    private static byte[] Mutate(byte[] original, Random random)
    {
        List<byte> bytes = [.. original];
        for (int edits = random.Next(1, 4); edits > 0; edits--)
        {
            int at = random.Next(bytes.Count);
            int length = Math.Min(random.Next(1, 20), bytes.Count - at);
            switch (random.Next(6))
            {
                case 0: bytes[at] = (byte)random.Next(256); break;
                case 1: bytes[at] ^= (byte)(1 << random.Next(8)); break;
                case 2: bytes.RemoveRange(at, Math.Min(length, bytes.Count - 1)); break;
                case 3: bytes.InsertRange(at, bytes.GetRange(random.Next(bytes.Count - length + 1), length)); break;
                // The bytes that turn lengths and dimensions huge or negative.
                case 4: bytes.InsertRange(at, Enumerable.Repeat((byte)(random.Next(2) == 0 ? 0xFF : 0x39), length)); break;
                default: bytes.RemoveRange(at + 1, bytes.Count - at - 1); break;
            }
        }
        return [.. bytes];
    }
}
