namespace OrtCpr.Vision;

/// <summary>Names of the columns of a source of pictures.</summary>
internal static class ImageColumns
{
    public const string Image = "image";

    public const string Labels = "labels";
}
