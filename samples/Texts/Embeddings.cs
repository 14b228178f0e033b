using OrtCpr;

namespace Texts;

// Sentences as vectors of length 1.
internal sealed class Embeddings(double[][] rows, long[] classes)
{
    private const int Iterations = 300;

    public long[] Classes => classes;

    // Of a model's output: a vector a sentence, or one a token, whose mean under the mask is taken.
    public static Embeddings Of(TrainingDriver driver, Topics topics, string output)
    {
        var rows = new List<double[]>();
        foreach (Batch batch in topics.TestBatches(driver).Batches())
        {
            using (batch)
            {
                using Prediction prediction = driver.Predict(batch, output);
                long[] dims = prediction[output].GetTensorTypeAndShape().Shape;
                float[] values = prediction[output].GetTensorDataAsSpan<float>().ToArray();
                int tokens = dims.Length == 3 ? (int)dims[1] : 1, width = (int)dims[^1];
                long[]? mask = dims.Length == 3 ? batch.Tensors["attention_mask"].GetTensorDataAsSpan<long>().ToArray() : null;
                for (int i = 0; i < dims[0]; i++)
                {
                    double[] row = new double[width];
                    for (int t = 0; t < tokens; t++)
                    {
                        if (mask is not null && mask[(i * tokens) + t] == 0) continue;
                        for (int k = 0; k < width; k++) row[k] += values[(((i * tokens) + t) * width) + k];
                    }
                    double length = Math.Sqrt(Dot(row, row));
                    rows.Add([.. row.Select(v => v / Math.Max(length, 1e-12))]);
                }
            }
        }
        return new Embeddings([.. rows], topics.TestClasses);
    }

    // The share of a sentence's nearest others that are of its topic, on average; for one it is the recall at 1.
    public double SameTopic(int nearest) => Enumerable.Range(0, rows.Length).Average(i => Enumerable.Range(0, rows.Length)
        .Where(j => j != i).OrderByDescending(j => Dot(rows[i], rows[j])).Take(nearest).Average(j => classes[i] == classes[j] ? 1.0 : 0));

    // Coordinates along the two largest principal components, and the share of the variance that they have: eigenvectors of the products
    // of all rows about their mean, by power iteration.
    public (double[] X, double[] Y, double Share) Plane()
    {
        double[] mean = [.. Enumerable.Range(0, rows[0].Length).Select(k => rows.Average(r => r[k]))];
        double[][] centred = [.. rows.Select(r => r.Zip(mean, (v, m) => v - m).ToArray())];
        double[][] products = [.. centred.Select(a => centred.Select(b => Dot(a, b)).ToArray())];
        double whole = products.Select((r, i) => r[i]).Sum(), found = 0;
        double[] Component(int seed)
        {
            double[] vector = [.. Enumerable.Range(1, rows.Length).Select(i => Math.Sin(i * seed))];
            double value = 0;
            for (int step = 0; step < Iterations; step++)
            {
                double[] next = [.. products.Select(r => Dot(r, vector))];
                value = Math.Sqrt(Dot(next, next));
                vector = [.. next.Select(v => v / Math.Max(value, 1e-300))];
            }
            for (int i = 0; i < rows.Length; i++)
            {
                for (int j = 0; j < rows.Length; j++) products[i][j] -= value * vector[i] * vector[j];
            }
            found += value;
            return [.. vector.Select(v => v * Math.Sqrt(value))];
        }
        double[] x = Component(1), y = Component(2);
        return (x, y, whole > 0 ? found / whole : 0);
    }

    private static double Dot(double[] a, double[] b) => System.Numerics.Tensors.TensorPrimitives.Dot<double>(a, b);
}
