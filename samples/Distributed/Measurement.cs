using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using OrtCpr;
using OrtCpr.Graph;

namespace Distributed;

// How long the processes take to add up memory.
internal static unsafe class Measurement
{
    private const int Times = 9;

    public static int Exchange(ICollective processes)
    {
        foreach (int megabytes in new[] { 0, 1, 4, 16, 64, 256 })
        {
            long elements = Math.Max(1, megabytes * 1_000_000L / sizeof(float));
            float* memory = (float*)NativeMemory.AlignedAlloc((nuint)(elements * sizeof(float)), 64);
            new Span<float>(memory, (int)elements).Clear();
            double[] milliseconds = new double[Times];
            for (int i = -1; i < Times; i++)
            {
                processes.Barrier();
                long start = Stopwatch.GetTimestamp();
                processes.AllReduce((nint)memory, elements, ElementType.Float);
                // The first touches the memory.
                if (i >= 0) milliseconds[i] = Stopwatch.GetElapsedTime(start).TotalMilliseconds;
            }
            NativeMemory.AlignedFree(memory);
            Array.Sort(milliseconds);
            if (processes.Rank > 0) continue;
            double median = milliseconds[Times / 2];
            Console.WriteLine(megabytes == 0
                ? string.Create(CultureInfo.InvariantCulture, $"{processes.Size} processes, 4 bytes: {median:F3} ms")
                : string.Create(CultureInfo.InvariantCulture,
                    $"{processes.Size} processes, {megabytes} MB: {median:F2} ms, {median / megabytes:F3} ms/MB"));
        }
        return 0;
    }
}
