using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using OrtCpr;
using OrtCpr.Graph;

namespace Distributed;

// Whether the operations of a collective give what they should, and how long the processes take to add up memory.
internal static unsafe class Measurement
{
    private const int Times = 9;

    public static int Exchange(ICollective processes)
    {
        Check(processes);
        if (processes.Rank == 0) Console.WriteLine($"{processes.Size} processes: all operations give what they should");
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

    // Ranks hold 1, 2, 3 … times the place; sums are exact in every type.
    private static void Check(ICollective processes)
    {
        const int places = 7;
        int size = processes.Size, own = processes.Rank + 1, sum = size * (size + 1) / 2;
        foreach (ElementType type in new[] { ElementType.Float, ElementType.Double, ElementType.Int32, ElementType.Int64,
            ElementType.Float16, ElementType.BFloat16 })
        {
            byte[] all = Numbers(type, places, own);
            fixed (byte* p = all) processes.AllReduce((nint)p, places, type);
            Expect(processes, "the sum", type, Numbers(type, places, sum), all);
            byte[] parts = Numbers(type, places * size, own), part = new byte[parts.Length / size];
            fixed (byte* p = parts, q = part) processes.ReduceScatter((nint)p, (nint)q, places, type);
            Expect(processes, "the part of the sum", type, Numbers(type, places * size, sum)[(processes.Rank * part.Length)..^((size - own)
                * part.Length)], part);
        }
        byte[] mine = [(byte)own, (byte)(own + 100)], gathered = new byte[2 * size];
        fixed (byte* p = mine, q = gathered) processes.AllGather((nint)p, (nint)q, mine.Length);
        Expect(processes, "what is gathered", ElementType.UInt8,
            [.. Enumerable.Range(1, size).SelectMany(r => new[] { (byte)r, (byte)(r + 100) })], gathered);
        fixed (byte* p = mine) processes.Broadcast((nint)p, mine.Length, size - 1);
        Expect(processes, "what the last rank sends", ElementType.UInt8, [(byte)size, (byte)(size + 100)], mine);
        processes.Barrier();
    }

    private static byte[] Numbers(ElementType type, int count, int factor)
    {
        int[] numbers = [.. Enumerable.Range(0, count).Select(i => i * factor)];
        TensorData tensor = type switch
        {
            ElementType.Int32 => TensorData.From<int>(numbers, count),
            ElementType.Int64 => TensorData.From<long>([.. numbers.Select(n => (long)n)], count),
            _ => TensorData.From<double>([.. numbers.Select(n => (double)n)], count).ConvertTo(type),
        };
        return tensor.Bytes.ToArray();
    }

    private static void Expect(ICollective processes, string what, ElementType type, byte[] expected, byte[] found)
    {
        if (expected.AsSpan().SequenceEqual(found)) return;
        throw new CollectiveException($"rank {processes.Rank}: {what} in {type} is {Convert.ToHexString(found)}; expected "
            + $"{Convert.ToHexString(expected)}.");
    }
}
