using OrtCpr.Data;
using OrtCpr.Graph;

namespace FineTune;

// Which of five sectors a point lies in, seen through eight further numbers of noise; the second task's sectors are turned.
internal sealed class Sectors
{
    private const int Inputs = 10, Classes = 5;

    public Sectors(double turn, int examples)
    {
        Training = Make(turn, examples, seed: 1);
        Test = Make(turn, 2000, seed: 2);
    }

    public DataSource Training { get; }

    public DataSource Test { get; }

    private static DataSource Make(double turn, int count, long seed)
    {
        float[] x = new float[count * Inputs];
        long[] labels = new long[count];
        for (int i = 0; i < count; i++)
        {
            SplitMix64 random = SplitMix64.For(seed, i);
            for (int j = 0; j < Inputs; j++) x[(i * Inputs) + j] = (float)((2 * random.NextDouble()) - 1);
            double angle = (Math.Atan2(x[(i * Inputs) + 1], x[i * Inputs]) / (2 * Math.PI)) + 1 + (turn / Classes);
            labels[i] = (long)(angle * Classes) % Classes;
        }
        return DataSource.FromTensors(new Dictionary<string, TensorData>
        {
            ["x"] = TensorData.From<float>(x, count, Inputs),
            ["labels"] = TensorData.From<long>(labels, count)
        });
    }
}
