using OrtCpr.Data;

namespace Cifar100;

// A stand-in of CIFAR-100 in the same binary form, for machines without the data set: each class is a colour, and a grating of its own
// direction and width, at random places under noise. It can be learned, and says nothing about CIFAR-100.
internal static class SyntheticImages
{
    private const int Size = 32, Classes = 100;

    public static void Write(string folder, int training = 6000, int test = 1000)
    {
        Directory.CreateDirectory(folder);
        WritePart(Path.Combine(folder, "train.bin"), training, 1);
        WritePart(Path.Combine(folder, "test.bin"), test, 2);
    }

    private static void WritePart(string path, int count, long seed)
    {
        string temporary = $"{path}.tmp";
        using (FileStream file = File.Create(temporary))
        {
            for (int i = 0; i < count; i++) file.Write(Record(SplitMix64.For(seed, i), i % Classes));
        }
        File.Move(temporary, path, overwrite: true);
    }

    private static byte[] Record(SplitMix64 random, int label)
    {
        byte[] record = new byte[2 + (3 * Size * Size)];
        (record[0], record[1]) = ((byte)(label / 5), (byte)label);
        double angle = Math.PI * (label % 10) / 10, width = 0.35 + (0.08 * (label / 10)), phase = 2 * Math.PI * random.NextDouble(),
            strength = 0.6 + (0.4 * random.NextDouble());
        double[] colour = [.. Enumerable.Range(0, 3).Select(c => 0.5 + (0.5 * Math.Sin((label * 2.4) + (c * 2.1))))];
        for (int c = 0; c < 3; c++)
        {
            for (int p = 0; p < Size * Size; p++)
            {
                double wave = Math.Sin((width * (((p % Size) * Math.Cos(angle)) + ((p / Size) * Math.Sin(angle)))) + phase);
                double noise = random.NextDouble() + random.NextDouble() - 1;
                record[2 + (c * Size * Size) + p] = (byte)Math.Clamp(128 + (60 * strength * wave * colour[c]) + (60 * noise), 0, 255);
            }
        }
        return record;
    }
}
