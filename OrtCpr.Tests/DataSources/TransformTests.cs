using OrtCpr.Data;
using OrtCpr.Graph;

namespace OrtCpr.Tests.DataSources;

// Pixels by hand.
[TestClass]
public sealed class TransformTests
{
    private static readonly long[] Shape = [1, 3, 3];

    private static float[] Image => [1, 2, 3, 4, 5, 6, 7, 8, 9];

    // Padded by two on each side without repeating the edge: rows and columns 3 2 | 1 2 3 | 2 1.
    private static float Padded(int row, int column)
    {
        int[] at = [2, 1, 0, 1, 2, 1, 0];
        return (3 * at[row]) + at[column] + 1;
    }

    [TestMethod]
    public void RandomCrop_IsAPartOfTheReflection()
    {
        var crop = Transform.RandomCrop(2);
        crop.Check(Shape);
        var seen = new HashSet<(int, int)>();
        for (int i = 0; i < 400; i++)
        {
            float[] image = Image;
            crop.Apply(image, Shape, SplitMix64.For(1, i));
            (int, int)[] places =
                [.. Enumerable.Range(0, 25).Select(p => (p / 5, p % 5))
                .Where(p => Enumerable.Range(0, 9).All(k => image[k] == Padded(p.Item1 + (k / 3), p.Item2 + (k % 3))))];
            Assert.IsNotEmpty(places, string.Join(' ', image));
            seen.UnionWith(places);
        }
        Assert.HasCount(25, seen, "every place comes up");
        Assert.ThrowsExactly<OptionException>(() => Transform.RandomCrop(3).Check(Shape));
    }

    [TestMethod]
    public void Flip_MirrorsRows_HalfOfTheTime()
    {
        int flipped = 0;
        for (int i = 0; i < 1000; i++)
        {
            float[] image = Image;
            Transform.RandomHorizontalFlip().Apply(image, Shape, SplitMix64.For(2, i));
            if (image[0] == 1) CollectionAssert.AreEqual(Image, image);
            else CollectionAssert.AreEqual(new float[] { 3, 2, 1, 6, 5, 4, 9, 8, 7 }, image);
            flipped += image[0] == 1 ? 0 : 1;
        }
        // Four deviations of a fair coin.
        Assert.IsTrue(flipped is > 437 and < 563, $"{flipped} of 1000");
    }

    [TestMethod]
    public void NormalizeAndScale()
    {
        float[] image = [0, 255, 51, 102];
        Transform.Scale().Apply(image, [2, 1, 2], SplitMix64.For(0, 0));
        var normalize = Transform.Normalize([0.5f, 0.2f], [0.5f, 0.1f]);
        normalize.Check([2, 1, 2]);
        normalize.Apply(image, [2, 1, 2], SplitMix64.For(0, 0));
        float[] expected = [-1, 1, 0, 2];
        for (int i = 0; i < 4; i++) Assert.AreEqual(expected[i], image[i], 1e-5);
        Assert.ThrowsExactly<OptionException>(() => normalize.Check([3, 1, 2]));
        Assert.ThrowsExactly<OptionException>(() => Transform.Normalize([0], [0]).Check([1, 1, 1]));
        Assert.ThrowsExactly<OptionException>(() => Transform.RandomHorizontalFlip().Check([4]));
    }
}
